//! A configuration read again is taken whole or not at all.

use gateway::passwd;
use tests::TestGateway;
use tests::amqp::{AmqpClient, declare_queue};

#[test]
fn a_new_user_may_come_in_and_nothing_else_changes() {
    let data = tempfile::tempdir().unwrap();
    let hash = passwd::hash(b"secret").unwrap();
    let user = format!(
        "users = [{{name = 'u', password_hash = '{hash}', permissions = \
         [{{vhost = '/', configure = '.*', write = '.*', read = '.*'}}]}}]"
    );
    let mut gateway = TestGateway::start(data.path(), &[]);
    let wrong = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    gateway
        .connect("resp")
        .send(b"AUTH u secret\r\n")
        .expect(wrong);
    let refused = gateway.reload(data.path(), &[&user, "mqtt.queued_max = 5"]);
    let text = refused.unwrap_err().to_string();
    assert_eq!(text, "only a restart changes [mqtt]; nothing was changed");
    gateway
        .connect("resp")
        .send(b"AUTH u secret\r\n")
        .expect(wrong);
    gateway.reload(data.path(), &[&user]).unwrap();
    gateway
        .connect("resp")
        .send(b"AUTH u secret\r\n")
        .expect(b"+OK\r\n");
    gateway.stop();
}

#[test]
fn a_new_policy_holds_for_a_queue_that_is_there() {
    let data = tempfile::tempdir().unwrap();
    let mut gateway = TestGateway::start(data.path(), &[]);
    let mut client = AmqpClient::connect(gateway.address("amqp"));
    client.call(1, (20, 10), b"\0");
    client.call(1, (50, 10), &declare_queue("q", 0));
    (0..5).for_each(|_| client.put_publish(1, ("", "q"), b"body"));
    let messages = |client: &mut AmqpClient| {
        let status = client.call(1, (50, 10), &declare_queue("q", 1));
        assert_eq!(status.method(), (50, 11));
        // After the name: messages u32, consumers u32.
        status.payload[status.payload.len() - 5]
    };
    assert_eq!(messages(&mut client), 5);
    let policy = "policies = [{name = 'p', pattern = '^q$', definition = {max-length = 2}}]";
    gateway.reload(data.path(), &[policy]).unwrap();
    assert_eq!(messages(&mut client), 2);
    gateway.stop();
}
