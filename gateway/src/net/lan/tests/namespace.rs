//! Links on interfaces that change their address, vanish and come back, and behind a switch that
//! forgets. Needs network namespaces, which a test makes by running itself once more under
//! `unshare`. So these are run on request only (`cargo test -p gateway namespace -- --ignored`, as
//! `conformance/run` does), and where namespaces are refused they fail.

use std::process::Command;
use std::sync::atomic::AtomicU64;

use super::*;

const INSIDE: &str = "BUSBAR_TEST_INSIDE_NAMESPACE";

#[test]
#[ignore = "needs network namespaces: add --ignored"]
fn a_link_follows_its_interface_through_all_that_befalls_it() {
    let name = "net::lan::tests::namespace::a_link_follows_its_interface_through_all";
    inside(name, follow_the_interface());
}

#[test]
#[ignore = "needs network namespaces: add --ignored"]
fn a_switch_that_forgets_is_told_again_who_listens() {
    let name = "net::lan::tests::namespace::a_switch_that_forgets";
    inside(name, outlive_a_forgetful_switch());
}

#[test]
#[ignore = "needs network namespaces: add --ignored"]
fn groups_of_ipv6_and_of_one_source_are_heard_on_their_interface_only() {
    let name = "net::lan::tests::namespace::groups_of_ipv6_and_of_one_source";
    inside(name, hear_groups());
}

fn inside(name: &str, test: impl Future<Output = ()>) {
    if std::env::var_os(INSIDE).is_none() {
        return run_inside(name);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(Box::pin(test));
}

fn run_inside(test: &str) {
    let program = std::env::current_exe().unwrap();
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "--mount"])
        .arg(program)
        .args([test, "--ignored"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare (of util-linux) to be installed");
    let text = String::from_utf8_lossy(&output.stdout);
    let fault = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{fault}"
    );
}

fn ip(arguments: &str) {
    let output = Command::new("ip")
        .args(arguments.split(' '))
        .output()
        .expect("ip (of iproute2) to be installed");
    let fault = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {fault}");
}

/// Two interfaces with a cable between them: `name` and, at the far end, `name`x.
fn plug(name: &str, subnet: u8) {
    ip(&format!("link add {name} type veth peer name {name}x"));
    for (interface, host) in [(name.to_owned(), 1), (format!("{name}x"), 2)] {
        ip(&format!(
            "addr add 10.77.{subnet}.{host}/24 dev {interface}"
        ));
        ip(&format!(
            "addr add fd00:77:{subnet}::{host}/64 dev {interface} nodad"
        ));
        let path = format!("/proc/sys/net/ipv6/conf/{interface}/keep_addr_on_down");
        std::fs::write(path, "1").unwrap();
        // Both ends are this machine's, so that each hears its own machine's addresses.
        for (key, value) in [("accept_local", "1"), ("rp_filter", "0")] {
            let path = format!("/proc/sys/net/ipv4/conf/{interface}/{key}");
            std::fs::write(path, value).unwrap();
        }
        ip(&format!("link set {interface} up"));
    }
    // The kernel starts the queues of both ends some time after both are up; what is sent before
    // is lost.
    wait_until_up(name);
    wait_until_up(&format!("{name}x"));
}

fn wait_until_up(interface: &str) {
    let is_up = || {
        let shown = Command::new("ip")
            .args(["link", "show", interface])
            .output()
            .unwrap();
        String::from_utf8_lossy(&shown.stdout).contains("state UP")
    };
    // Each look takes milliseconds.
    assert!((0..2000).any(|_| is_up()), "{interface} does not come up");
}

fn on(interface: &str) -> LanLink {
    let mut config = config(20, "both", "");
    config.port = 5000;
    config.interface = crate::config::Interface::Name(interface.to_owned());
    config
}

async fn follow_the_interface() {
    std::fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", "0").unwrap();
    ip("link set lo up");
    plug("line", 1);
    plug("office", 2);
    follow("239.192.8.20", ["10.77.1.1/24", "10.77.1.9/24"]).await;
    follow("ff15::77", ["fd00:77:1::1/64", "fd00:77:1::9/64"]).await;
}

/// All that befalls the interface `line`, which has the first address and is given the second.
async fn follow(group: &str, [address, other]: [&str; 2]) {
    let on = |interface| to_group(interface, group, "");
    let bus = Bus::new();
    let mut task = bus.open(&on("line"));
    let mut line = Station::beside(&on("linex"));
    let office = Station::beside(&on("officex"));

    // Another network with the same group is another network.
    office.send(b"office").await;
    assert_exchange(&bus, &mut task, &line).await;

    // A cable that was pulled: memberships come back by themselves.
    ip("link set line down");
    task.check_interface();
    ip("link set line up");
    wait_until_up("line");
    task.check_interface();
    assert_exchange(&bus, &mut task, &line).await;

    // A new address changes nothing, because the interface is known by its index.
    ip(&format!("addr del {address} dev line"));
    let flag = if group.contains(':') { " nodad" } else { "" };
    ip(&format!("addr add {other} dev line{flag}"));
    assert_exchange(&bus, &mut task, &line).await;

    // Without the interface, what is published is lost, counted, and holds nothing up.
    ip("link del line");
    task.check_interface();
    assert_eq!(task.health, Health::Failing);
    let failed = count(&task.counters.failed);
    bus.publish("plant/a", b"lost");
    assert_eq!(bus.hear().await.1, "lost");
    task.take(NOW).unwrap();
    task.send(NOW);
    assert_eq!(
        (count(&task.counters.failed), task.waiting.len()),
        (failed + 1, 0)
    );

    // An interface of the same name is another one, and is found.
    plug("line", 1);
    line = Station::beside(&on("linex"));
    task.check_interface();
    assert_exchange(&bus, &mut task, &line).await;
    let received = count(&task.counters.received);
    assert_eq!((received, count(&task.counters.echoes)), (4, 4));
}

/// One datagram in and one out, which comes back and is told from others'.
async fn assert_exchange(bus: &Bus, task: &mut LanTask, station: &Station) {
    station.send(b"in").await;
    receive_one_more(task, |counters| &counters.received).await;
    assert_eq!(bus.hear().await.1, "in");
    bus.publish("plant/a", b"out");
    assert_eq!(bus.hear().await.1, "out");
    timeout(PATIENCE, task.drain(|| NOW)).await.unwrap();
    // The station hears what it sent itself, too.
    assert_eq!(station.receive().await, b"in");
    assert_eq!(station.receive().await, b"out");
    receive_one_more(task, |counters| &counters.echoes).await;
}

async fn receive_one_more(task: &mut LanTask, counter: fn(&Counters) -> &AtomicU64) {
    let before = count(counter(&task.counters));
    while count(counter(&task.counters)) == before {
        timeout(PATIENCE, readable(&task.sockets))
            .await
            .expect("a datagram in time");
        task.receive(NOW, &mut [0; 100]);
    }
}

/// A link by name to a group, of one source if there is one.
fn to_group(interface: &str, group: &str, source: &str) -> LanLink {
    let mut config = on(interface);
    config.destination = crate::config::Destination::Group(group.parse().unwrap());
    config.source = (!source.is_empty()).then(|| source.parse().unwrap());
    config
}

async fn hear_groups() {
    std::fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", "0").unwrap();
    ip("link set lo up");
    plug("line", 1);
    plug("office", 2);
    for (group, source, other) in [
        ("ff12::77", "", ""),
        ("ff15::77", "", ""),
        ("ff35::8000:77", "fd00:77:1::1", "fd00:77:1::9"),
        ("232.1.1.1", "10.77.1.1", "10.77.1.9"),
    ] {
        let hears = socket::open_receiver(&to_group("linex", group, source)).unwrap();
        let elsewhere = socket::open_receiver(&to_group("officex", group, source)).unwrap();
        let refused = (!other.is_empty())
            .then(|| socket::open_receiver(&to_group("linex", group, other)).unwrap());
        let sender = Sender::open(&to_group("line", group, "")).unwrap();
        sender.socket.send_to(b"21.5", sender.to).await.unwrap();
        let mut buffer = [0; 16];
        let heard = timeout(PATIENCE, hears.recv_from(&mut buffer)).await;
        let (bytes, from) = heard
            .unwrap_or_else(|_| panic!("{group} not heard"))
            .unwrap();
        assert_eq!(
            (&buffer[..bytes], from.is_ipv6()),
            (&b"21.5"[..], group.contains(':'))
        );
        // What has arrived at one has arrived at all, or never will.
        assert!(elsewhere.try_recv_from(&mut buffer).is_err(), "{group}");
        let refused = refused.is_some_and(|socket| socket.try_recv_from(&mut buffer).is_ok());
        assert!(!refused, "{group} from another source");
    }
    rejoin_and_count().await;
}

/// The group is joined again without an end to hearing, and what finds no room is counted.
async fn rejoin_and_count() {
    for group in ["239.192.8.20", "ff15::77"] {
        let config = to_group("linex", group, "");
        let bus = Bus::new();
        let mut task = bus.open(&config);
        let station = Sender::open(&to_group("line", group, "")).unwrap();
        for _ in 0..REJOIN_CHECKS {
            task.check_interface();
        }
        assert_eq!(count(&task.counters.rejoins), 1);
        station.socket.send_to(b"in", station.to).await.unwrap();
        receive_one_more(&mut task, |counters| &counters.received).await;
        let small = SockRef::from(task.sockets.receiver.as_ref().unwrap());
        small.set_recv_buffer_size(0).unwrap();
        for _ in 0..100 {
            station
                .socket
                .send_to(&[0; 1000], station.to)
                .await
                .unwrap();
        }
        timeout(PATIENCE, readable(&task.sockets)).await.unwrap();
        task.check_interface();
        assert!(count(&task.counters.kernel_drops) > 50, "{group}");
    }
}

/// Two hosts at a switch that prunes groups and asks nobody who listens, as one without a querier
/// does: what it learned is forgotten after three seconds, where others take 260.
async fn outlive_a_forgetful_switch() {
    std::fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", "0").unwrap();
    ip("link set lo up");
    ip("link add switch type bridge mcast_snooping 1 mcast_querier 1 mcast_igmp_version 3");
    ip("link set switch type bridge mcast_query_response_interval 100 mcast_startup_query_count 0");
    ip("link set switch type bridge mcast_query_interval 100000 mcast_membership_interval 300");
    ip("addr add 10.77.1.9/24 dev switch");
    ip("link set switch up");
    for name in ["line", "far"] {
        plug(name, 1);
        ip(&format!("addr flush dev {name}x"));
        ip(&format!("link set {name}x master switch"));
    }
    let config = on("line");
    let bus = Bus::new();
    let mut task = bus.open(&config);
    let station = Sender::open(&on("far")).unwrap();
    assert!(
        hears(&mut task, &station).await,
        "nothing before it forgets"
    );
    let forgetting = async {
        while hears(&mut task, &station).await {
            sleep(Duration::from_millis(50)).await;
        }
    };
    let forgot = timeout(3 * PATIENCE, forgetting).await.is_ok();
    assert!(
        forgot,
        "the switch does not forget, so this would show nothing"
    );
    for _ in 0..REJOIN_CHECKS {
        task.check_interface();
    }
    // The report leaves within a second or so: IGMP delays it at random.
    let told = async { while !hears(&mut task, &station).await {} };
    let heard = timeout(PATIENCE, told).await.is_ok();
    assert!(heard, "the switch was not told again");
}

/// Whether a datagram sent now arrives soon.
async fn hears(task: &mut LanTask, station: &Sender) -> bool {
    station.socket.send_to(b"in", station.to).await.unwrap();
    let soon = Duration::from_millis(200);
    let arrived = timeout(soon, readable(&task.sockets)).await.is_ok();
    let before = count(&task.counters.received);
    task.receive(NOW, &mut [0; 100]);
    arrived && count(&task.counters.received) > before
}
