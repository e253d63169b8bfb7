use proptest::prelude::*;
use redis_protocol::resp2::{decode::decode as decode2, types::OwnedFrame as Frame2};
use redis_protocol::resp3::{decode::complete::decode as decode3, types::OwnedFrame as Frame3};

use super::*;

fn written(version: Version, write: impl Fn(&mut ReplyWriter<'_>)) -> String {
    let mut out = OutBuf::default();
    write(&mut ReplyWriter::new(version, &mut out));
    out.to_vec().escape_ascii().to_string()
}

type Write = fn(&mut ReplyWriter<'_>);

#[test]
fn each_type_has_its_bytes_in_both_versions() {
    let table: [(Write, &str, &str); 24] = [
        (|reply| reply.ok(), r"+OK\r\n", r"+OK\r\n"),
        (|reply| reply.simple("PONG"), r"+PONG\r\n", r"+PONG\r\n"),
        (
            |reply| reply.error(b"ERR no"),
            r"-ERR no\r\n",
            r"-ERR no\r\n",
        ),
        (
            |reply| reply.error(b"ERR a\r\nb\n"),
            r"-ERR a  b \r\n",
            r"-ERR a  b \r\n",
        ),
        (|reply| reply.integer(0), r":0\r\n", r":0\r\n"),
        (|reply| reply.integer(-10), r":-10\r\n", r":-10\r\n"),
        (|reply| reply.count(36_138), r":36138\r\n", r":36138\r\n"),
        (|reply| reply.bulk(b""), r"$0\r\n\r\n", r"$0\r\n\r\n"),
        (
            |reply| reply.bulk(b"a\r\n\xff"),
            r"$4\r\na\r\n\xff\r\n",
            r"$4\r\na\r\n\xff\r\n",
        ),
        (|reply| reply.null(), r"$-1\r\n", r"_\r\n"),
        (|reply| reply.null_array(), r"*-1\r\n", r"_\r\n"),
        (|reply| reply.array(0), r"*0\r\n", r"*0\r\n"),
        (|reply| reply.array(12), r"*12\r\n", r"*12\r\n"),
        (|reply| reply.map(7), r"*14\r\n", r"%7\r\n"),
        (|reply| reply.set(3), r"*3\r\n", r"~3\r\n"),
        (|reply| reply.push(3), r"*3\r\n", r">3\r\n"),
        (|reply| reply.boolean(true), r":1\r\n", r"#t\r\n"),
        (|reply| reply.boolean(false), r":0\r\n", r"#f\r\n"),
        (|reply| reply.double(1.5), r"$3\r\n1.5\r\n", r",1.5\r\n"),
        (|reply| reply.double(10.0), r"$2\r\n10\r\n", r",10\r\n"),
        (
            |reply| reply.double(f64::NEG_INFINITY),
            r"$4\r\n-inf\r\n",
            r",-inf\r\n",
        ),
        (
            |reply| reply.double(-f64::NAN),
            r"$3\r\nnan\r\n",
            r",nan\r\n",
        ),
        (
            |reply| reply.verbatim("hi"),
            r"$2\r\nhi\r\n",
            r"=6\r\ntxt:hi\r\n",
        ),
        (|reply| reply.bulk_header(5), r"$5\r\n", r"$5\r\n"),
    ];
    for (write, resp2, resp3) in table {
        assert_eq!(written(Version::Resp2, write), resp2);
        assert_eq!(written(Version::Resp3, write), resp3);
    }
}

/// RESP: `HELLO`, whose answer nests an empty array in a map.
#[test]
fn aggregates_nest() {
    let hello: Write = |reply| {
        reply.map(2);
        reply.bulk(b"proto");
        reply.integer(reply.version().number().into());
        reply.bulk(b"modules");
        reply.array(0);
    };
    let resp2 = r"*4\r\n$5\r\nproto\r\n:2\r\n$7\r\nmodules\r\n*0\r\n";
    let resp3 = r"%2\r\n$5\r\nproto\r\n:3\r\n$7\r\nmodules\r\n*0\r\n";
    assert_eq!(written(Version::Resp2, hello), resp2);
    assert_eq!(written(Version::Resp3, hello), resp3);
}

proptest! {
    #[test]
    fn integers_are_written_as_the_standard_library_does(value in any::<i64>()) {
        for value in [value, value >> 32, value >> 56, i64::MIN, i64::MAX] {
            let text = written(Version::Resp2, |reply| reply.integer(value));
            prop_assert_eq!(text, format!(r":{value}\r\n"));
        }
    }

    #[test]
    fn another_implementation_reads_what_is_written(
        bulk in prop::collection::vec(any::<u8>(), 0..40),
        integer in any::<i64>(),
        boolean in any::<bool>(),
    ) {
        let write = |reply: &mut ReplyWriter<'_>| {
            reply.push(5);
            reply.bulk(b"kind");
            reply.bulk(&bulk);
            reply.integer(integer);
            reply.boolean(boolean);
            reply.null();
        };
        let mut out = OutBuf::default();
        write(&mut ReplyWriter::new(Version::Resp2, &mut out));
        let expected = Frame2::Array(vec![
            Frame2::BulkString(b"kind".to_vec()),
            Frame2::BulkString(bulk.clone()),
            Frame2::Integer(integer),
            Frame2::Integer(boolean.into()),
            Frame2::Null,
        ]);
        prop_assert_eq!(decode2(&out.to_vec()).unwrap(), Some((expected, out.len())));

        let mut out = OutBuf::default();
        write(&mut ReplyWriter::new(Version::Resp3, &mut out));
        let expected = Frame3::Push {
            attributes: None,
            data: vec![
                Frame3::BlobString { data: b"kind".to_vec(), attributes: None },
                Frame3::BlobString { data: bulk.clone(), attributes: None },
                Frame3::Number { data: integer, attributes: None },
                Frame3::Boolean { data: boolean, attributes: None },
                Frame3::Null,
            ],
        };
        prop_assert_eq!(decode3(&out.to_vec()).unwrap(), Some((expected, out.len())));
    }
}
