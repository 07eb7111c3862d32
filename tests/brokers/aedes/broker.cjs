// An aedes as its README starts one: node broker.cjs PORT [FORBIDDEN]
// FORBIDDEN is a topic on which nobody may publish, or a filter to which nobody may subscribe.
const net = require('node:net')
const { Aedes } = require('aedes')

const [port, forbidden] = process.argv.slice(2)

Aedes.createBroker({
  authorizePublish: (client, packet, done) => done(packet.topic === forbidden ? new Error('forbidden') : null),
  authorizeSubscribe: (client, wish, done) => done(null, wish.topic === forbidden ? null : wish),
}).then((aedes) => {
  net.createServer(aedes.handle).listen(Number(port), '127.0.0.1', () => console.log('running'))
})
