# bunny: publishes with confirms, consumes with a prefetch, asks and answers, lets a message die. One line for each.
require "bunny"

MESSAGES = 100
connection = Bunny.new(host: "127.0.0.1", port: ARGV[0].to_i, user: "guest", password: "guest")
connection.start

channel = connection.create_channel
channel.confirm_select
queue = channel.queue("clients.bunny", durable: true)
MESSAGES.times { |number| queue.publish(number.to_s, persistent: true) }
raise "a publish was refused" unless channel.wait_for_confirms
puts "confirmed #{MESSAGES}"

channel.prefetch(10)
received = Queue.new
consumer = queue.subscribe(manual_ack: true) do |delivery, _properties, body|
  channel.ack(delivery.delivery_tag)
  received << body
end
MESSAGES.times { |number| raise "out of order" unless received.pop == number.to_s }
consumer.cancel
queue.delete
puts "consumed #{MESSAGES}"

server = connection.create_channel
requests = server.queue("", exclusive: true)
requests.subscribe do |_delivery, properties, body|
  server.default_exchange.publish((body.to_i + 1).to_s, routing_key: properties.reply_to,
                                  correlation_id: properties.correlation_id)
end
client = connection.create_channel
answers = Queue.new
client.basic_consume("amq.rabbitmq.reply-to", "client", true) { |_delivery, _properties, body| answers << body }
client.default_exchange.publish("41", routing_key: requests.name, reply_to: "amq.rabbitmq.reply-to", correlation_id: "1")
puts "answered #{answers.pop}"

graves = channel.queue("", exclusive: true)
work = channel.queue("", exclusive: true, arguments: { "x-dead-letter-exchange" => "",
                                                       "x-dead-letter-routing-key" => graves.name })
dead = Queue.new
graves.subscribe { |_delivery, properties, _body| dead << properties.headers["x-first-death-reason"] }
work.subscribe(manual_ack: true) { |delivery, _properties, _body| channel.reject(delivery.delivery_tag, false) }
work.publish("bad")
puts "died #{dead.pop}"

connection.close
