use super::*;

fn specs() -> impl Iterator<Item = &'static Spec> {
    all()
        .iter()
        .flat_map(|spec| std::iter::once(spec).chain(spec.subcommands))
}

#[test]
fn tables_are_sorted_for_the_binary_search() {
    let tables = all().iter().map(|spec| spec.subcommands).chain([all()]);
    for table in tables {
        assert!(table.is_sorted_by(|a, b| a.short_name < b.short_name));
    }
}

#[test]
fn every_command_is_found_in_any_case() {
    for spec in all() {
        let upper = spec.name.to_ascii_uppercase();
        assert_eq!(lookup(all(), upper.as_bytes()).unwrap().name, spec.name);
        for subcommand in spec.subcommands {
            assert!(subcommand.name.starts_with(&format!("{}|", spec.name)));
            let found = lookup(spec.subcommands, subcommand.short_name.as_bytes());
            assert_eq!(found.unwrap().name, subcommand.name);
        }
    }
}

#[test]
fn names_that_are_none_are_not_found() {
    for name in [
        &b""[..],
        b"publis",
        b"publishh",
        b"client|id",
        &[b'a'; 25],
        b"\xff",
    ] {
        assert!(lookup(all(), name).is_none());
    }
}

#[test]
fn a_command_that_confirms_by_pushes_is_one_of_pubsub() {
    let confirming: Vec<_> = specs()
        .filter(|spec| spec.flags.has(Flags::CONFIRMS))
        .collect();
    assert_eq!(confirming.len(), 6);
    assert!(
        confirming
            .iter()
            .all(|spec| spec.name.ends_with("subscribe"))
    );
}

#[test]
fn categories_are_known_ones() {
    for spec in specs() {
        assert!(
            spec.categories
                .iter()
                .all(|category| CATEGORIES.contains(category))
        );
        let speeds = ["@fast", "@slow"];
        let all = spec.all_categories();
        assert_eq!(
            all.iter()
                .filter(|category| speeds.contains(category))
                .count(),
            1
        );
    }
}

#[test]
fn arities_count_the_name() {
    let ping = lookup(all(), b"ping").unwrap();
    assert!(ping.takes(1) && ping.takes(3) && !ping.takes(0));
    let publish = lookup(all(), b"publish").unwrap();
    assert!(publish.takes(3) && !publish.takes(2) && !publish.takes(4));
}
