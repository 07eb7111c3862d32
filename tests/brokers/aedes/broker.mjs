// An aedes as its README starts one: node broker.mjs PORT [FORBIDDEN]
// FORBIDDEN is a topic on which nobody may publish, or a filter to which nobody may subscribe.
import net from 'node:net'
import { Aedes } from 'aedes'

const [port, forbidden] = process.argv.slice(2)

const aedes = await Aedes.createBroker({
  authorizePublish: (client, packet, done) => done(packet.topic === forbidden ? new Error('forbidden') : null),
  authorizeSubscribe: (client, wish, done) => done(null, wish.topic === forbidden ? null : wish)
})
net.createServer(aedes.handle).listen(Number(port), '127.0.0.1', () => console.log('running'))
