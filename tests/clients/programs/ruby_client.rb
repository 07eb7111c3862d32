# anhtrantuan/zklib-ruby in a folder, by UDP: ruby ruby_client.rb FOLDER HOST PORT udp KEY. It needs bindata.
require 'json'
require 'socket'
require 'stringio'
require 'timeout'

FOLDER, HOST, PORT = ARGV
$LOAD_PATH.unshift("#{FOLDER}/lib")
require 'zklib'

RESULTS = {}
PATIENCE_S = 5

def attempt(name)
  RESULTS[name] = { value: Timeout.timeout(PATIENCE_S) { yield } }
rescue StandardError => e
  RESULTS[name] = { error: "#{e.class}: #{e.message}" }
end

def free_port
  socket = UDPSocket.new
  socket.bind('127.0.0.1', 0)
  socket.addr[1].tap { socket.close }
end

client = Zklib.new(ip: HOST, port: PORT.to_i, inport: free_port)

def users(table)
  last = table.last
  # It reads the uid from the two bytes before its own, high byte first.
  { count: table.length, user_id: last[:user_id], name: last[:name] }
end

def attendance(log)
  { count: log.length, user_id: log[0][:id].to_s, time: log[0][:timestamp].strftime('%Y-%m-%dT%H:%M:%S') }
end

attempt('connect') { client.connect }
attempt('serial number') { client.get_serial_number }
attempt('clock') { client.get_time.strftime('%Y-%m-%dT%H:%M:%S') }
attempt('disable') { client.disable_device; true }
attempt('users') { users(client.get_users) }
attempt('attendance') { attendance(client.get_attendances) }
attempt('write user') { client.create_user(uid: 200, user_id: '2200', name: 'Ana', password: '1234', role: 0); true }
attempt('delete user') { client.delete_user(uid: 2); true }
attempt('enable') { client.enable_device; true }
attempt('set the clock') { client.set_time(Time.new(2031, 5, 6, 7, 8, 9)); true }
attempt('disconnect') { client.disconnect }
puts "\nRESULT #{JSON.generate(RESULTS)}"
