// An aedes as its README starts one: node broker.cjs PORT
const net = require('node:net')
const { Aedes } = require('aedes')

Aedes.createBroker().then((aedes) => {
  net.createServer(aedes.handle).listen(Number(process.argv[2]), '127.0.0.1', () => console.log('running'))
})
