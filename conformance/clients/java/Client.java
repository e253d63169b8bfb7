import com.rabbitmq.client.AMQP.BasicProperties;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.DefaultConsumer;
import com.rabbitmq.client.Envelope;
import com.rabbitmq.client.MessageProperties;
import com.rabbitmq.client.RpcClient;
import com.rabbitmq.client.RpcServer;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** RabbitMQ's Java client: publishes with confirms, consumes with a prefetch, asks and answers, lets a message die. */
public final class Client {
    private static final int MESSAGES = 100;
    private static final String QUEUE = "clients.java";

    public static void main(String[] arguments) throws Exception {
        ConnectionFactory factory = new ConnectionFactory();
        factory.setHost("127.0.0.1");
        factory.setPort(Integer.parseInt(arguments[0]));
        try (Connection connection = factory.newConnection()) {
            Channel channel = connection.createChannel();
            publish(channel);
            consume(channel);
            call(connection);
            die(channel);
        }
    }

    private static void publish(Channel channel) throws Exception {
        channel.queueDeclare(QUEUE, true, false, false, null);
        channel.confirmSelect();
        for (int number = 0; number < MESSAGES; number++) {
            channel.basicPublish("", QUEUE, MessageProperties.PERSISTENT_BASIC, String.valueOf(number).getBytes());
        }
        channel.waitForConfirmsOrDie(10_000);
        System.out.println("confirmed " + MESSAGES);
    }

    private static void consume(Channel channel) throws Exception {
        channel.basicQos(10);
        BlockingQueue<String> received = new LinkedBlockingQueue<>();
        channel.basicConsume(QUEUE, false, "reader", new DefaultConsumer(channel) {
            @Override
            public void handleDelivery(String tag, Envelope envelope, BasicProperties properties, byte[] body)
                    throws java.io.IOException {
                channel.basicAck(envelope.getDeliveryTag(), false);
                received.add(new String(body));
            }
        });
        for (int number = 0; number < MESSAGES; number++) {
            String body = received.poll(10, TimeUnit.SECONDS);
            if (!String.valueOf(number).equals(body)) {
                throw new IllegalStateException(body + " at " + number);
            }
        }
        channel.basicCancel("reader");
        channel.queueDelete(QUEUE);
        System.out.println("consumed " + MESSAGES);
    }

    private static void call(Connection connection) throws Exception {
        Channel serving = connection.createChannel();
        String requests = serving.queueDeclare().getQueue();
        RpcServer server = new RpcServer(serving, requests) {
            @Override
            public byte[] handleCall(byte[] body, BasicProperties properties) {
                return String.valueOf(Integer.parseInt(new String(body)) + 1).getBytes();
            }
        };
        Thread thread = new Thread(() -> {
            try {
                server.mainloop();
            } catch (Exception ended) {
                Thread.currentThread().interrupt();
            }
        });
        thread.setDaemon(true);
        thread.start();
        RpcClient client = new RpcClient(connection.createChannel(), "", requests, "amq.rabbitmq.reply-to", 10_000);
        System.out.println("answered " + client.stringCall("41"));
        client.close();
    }

    private static void die(Channel channel) throws Exception {
        String graves = channel.queueDeclare().getQueue();
        Map<String, Object> arguments = new HashMap<>();
        arguments.put("x-dead-letter-exchange", "");
        arguments.put("x-dead-letter-routing-key", graves);
        String work = channel.queueDeclare("", false, true, true, arguments).getQueue();
        BlockingQueue<String> reasons = new LinkedBlockingQueue<>();
        channel.basicConsume(graves, true, new DefaultConsumer(channel) {
            @Override
            public void handleDelivery(String tag, Envelope envelope, BasicProperties properties, byte[] body) {
                reasons.add(properties.getHeaders().get("x-first-death-reason").toString());
            }
        });
        channel.basicConsume(work, false, new DefaultConsumer(channel) {
            @Override
            public void handleDelivery(String tag, Envelope envelope, BasicProperties properties, byte[] body)
                    throws java.io.IOException {
                channel.basicReject(envelope.getDeliveryTag(), false);
            }
        });
        channel.basicPublish("", work, null, "bad".getBytes());
        System.out.println("died " + reasons.poll(10, TimeUnit.SECONDS));
    }
}
