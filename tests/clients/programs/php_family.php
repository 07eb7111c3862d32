<?php
// A client for PHP in a folder, by UDP: php php_family.php FOLDER HOST PORT udp KEY.
// It has a class ZKTeco below src/, as jmrashed/zkteco and those made of the same code have.
error_reporting(E_ERROR);
[, $folder, $host, $port] = $argv;
$results = [];

function attempt(string $name, callable $operation): void
{
    global $results;
    try {
        $results[$name] = ['value' => $operation()];
    } catch (Throwable $fault) {
        $results[$name] = ['error' => $fault->getMessage()];
    }
}

/** Load classes below src/ as they are needed, and return the name of the one that clients use. */
function findClass(string $folder, string $name): string
{
    $paths = [];
    foreach (new RecursiveIteratorIterator(new RecursiveDirectoryIterator("$folder/src")) as $file) {
        $paths[$file->getBasename('.php')] = $file->getPathname();
    }
    spl_autoload_register(function (string $class) use ($paths) {
        require_once $paths[basename(str_replace('\\', '/', $class))];
    });
    preg_match('/^namespace\s+([^;]+);/m', file_get_contents($paths[$name]), $match);
    return "\\$match[1]\\$name";
}

$class = findClass($folder, 'ZKTeco');
$client = new $class($host, (int) $port);
// It waits for a minute by default.
socket_set_option($client->_zkclient, SOL_SOCKET, SO_RCVTIMEO, ['sec' => 5, 'usec' => 0]);

$text = fn ($value) => rtrim(preg_replace('/^.*=/', '', (string) $value), "\0");
$moment = fn ($value) => (new DateTime($value))->format('Y-m-d\TH:i:s');

$users = function () use ($client) {
    $table = $client->getUser();
    $last = end($table);
    return ['count' => count($table), 'uid' => $last['uid'], 'user_id' => $last['userid'], 'name' => $last['name']];
};
$attendance = function () use ($client, $moment) {
    $log = $client->getAttendance();
    return ['count' => count($log), 'user_id' => $log[0]['id'], 'time' => $moment($log[0]['timestamp'])];
};

attempt('connect', fn () => (bool) $client->connect());
attempt('serial number', fn () => $text($client->serialNumber()));
attempt('clock', fn () => $moment($client->getTime()));
attempt('disable', fn () => $client->disableDevice() !== false);
attempt('users', $users);
attempt('attendance', $attendance);
attempt('write user', fn () => $client->setUser(200, '2200', 'Ana', '1234', 0) !== false);
attempt('delete user', fn () => $client->removeUser(2) !== false);
attempt('enable', fn () => $client->enableDevice() !== false);
attempt('set the clock', fn () => $client->setTime('2031-05-06 07:08:09') !== false);
attempt('disconnect', fn () => (bool) $client->disconnect());
echo "\nRESULT ", json_encode($results), "\n";
