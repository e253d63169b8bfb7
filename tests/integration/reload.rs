//! A configuration read again is taken whole or not at all.

use gateway::passwd;
use tests::TestGateway;

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
