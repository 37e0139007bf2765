use expect_test::{Expect, expect};

use super::*;

/// Reads a pickle and compares what it became with what is expected.
#[expect(clippy::needless_pass_by_value, reason = "`expect!` is written in place")]
fn check(data: &[u8], expected: Expect) {
    let mut records = Records::new();
    let shown = match read(&mut Cursor::new(data), &mut records) {
        Ok(pickle) => show(&records, pickle.root, 0),
        Err(fault) => format!("{fault:?}"),
    };
    expected.assert_eq(&shown);
}

fn show(records: &Records<'_>, id: Id, depth: usize) -> String {
    if depth > 4 {
        return "…".to_owned();
    }
    let list = |ids: &[Id]| ids.iter().map(|id| show(records, *id, depth + 1)).collect::<Vec<_>>().join(", ");
    let dict = |pairs: &[(Id, Id)]| {
        let pair = |(key, value): &(Id, Id)| {
            format!("{}: {}", show(records, *key, depth + 1), show(records, *value, depth + 1))
        };
        pairs.iter().map(pair).collect::<Vec<_>>().join(", ")
    };
    match records.get(id) {
        Record::None => "None".to_owned(),
        Record::Bool(bool) => bool.to_string(),
        Record::Int(int) => int.to_string(),
        Record::HugeInt => "huge".to_owned(),
        Record::Float(float) => format!("{float:?}"),
        Record::Text(text) => format!("{text:?}"),
        Record::Bytes(bytes) => format!("b{:?}", String::from_utf8_lossy(bytes)),
        Record::List(items) => format!("[{}]", list(items)),
        Record::Tuple(items) => format!("({})", list(items)),
        Record::Set(items) => format!("{{{}}}", list(items)),
        Record::Dict(pairs) => format!("{{{}}}", dict(pairs)),
        Record::Class(path) => path.to_string(),
        Record::Array(array) => format!("array{:?} {:?}", array.shape, array.doubles()),
        Record::Instance(instance) => {
            let mut shown = format!("{}{}", instance.class, show(records, instance.arguments, depth + 1));
            if let Some(state) = instance.state {
                shown += &format!(" state {}", show(records, state, depth + 1));
            }
            if !instance.items.is_empty() {
                shown += &format!(" items [{}]", list(&instance.items));
            }
            if !instance.pairs.is_empty() {
                shown += &format!(" pairs {{{}}}", dict(&instance.pairs));
            }
            shown
        }
    }
}

#[test]
fn plain_values_of_all_protocols() {
    check(b"(lp0\nI1\naI01\naL-5L\naF2.5\naNa.", expect!["[1, true, -5, 2.5, None]"]);
    check(b"(dp0\nVk\\u00e9y\np1\nS'v'\np2\ns.", expect![[r#"{"kéy": "v"}"#]]);
    check(b"\x80\x02]q\x00(K\x01M\x00\x01J\xff\xff\xff\xff\x8a\x01\x80e.", expect!["[1, 256, -1, -128]"]);
    check(b"\x80\x03(C\x02abB\x01\x00\x00\x00cX\x01\x00\x00\x00dt.", expect![[r#"(b"ab", b"c", "d")"#]]);
    check(
        b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8f\x94(\x8c\x01a\x8c\x01b\x90(K\x01\x91\x86.",
        expect![[r#"({"a", "b"}, {1})"#]],
    );
    check(b"\x80\x05\x96\x03\x00\x00\x00\x00\x00\x00\x00abc.", expect![[r#"b"abc""#]]);
    check(b"\x80\x02G\x3f\xf8\x00\x00\x00\x00\x00\x00N\x88\x87.", expect!["(1.5, None, true)"]);
}

#[test]
fn what_is_shared_stays_shared() {
    let data = b"\x80\x02]q\x00(]q\x01h\x01h\x01e.";
    let mut records = Records::new();
    let pickle = read(&mut Cursor::new(data), &mut records).unwrap();
    let [first, second, third] = records.sequence(pickle.root).unwrap() else { panic!("three items") };
    assert!(first == second && second == third);
}

#[test]
fn a_list_may_hold_itself() {
    check(b"\x80\x02]q\x00h\x00a.", expect!["[[[[[…]]]]]"]);
}

#[test]
fn objects_are_made_in_many_ways_and_none_is_executed() {
    check(
        b"\x80\x02csklearn.svm._classes\nSVC\n)\x81}X\x01\x00\x00\x00CK\x01sb.",
        expect![[r#"sklearn.svm._classes.SVC() state {"C": 1}"#]],
    );
    check(
        b"ccopy_reg\n_reconstructor\n(csklearn.svm.classes\nSVC\nc__builtin__\nobject\nNtR.",
        expect!["sklearn.svm.classes.SVC(None)"],
    );
    check(b"(isklearn.svm.classes\nSVC\n.", expect!["sklearn.svm.classes.SVC()"]);
    check(b"(csklearn.svm.classes\nSVC\nK\x01o.", expect!["sklearn.svm.classes.SVC(1)"]);
    check(
        b"\x80\x04\x8c\x0bcollections\x8c\x0bOrderedDict\x93)R(K\x01K\x02u.",
        expect!["collections.OrderedDict() pairs {1: 2}"],
    );
    check(
        b"\x80\x02c_codecs\nencode\nX\x03\x00\x00\x00a\xc3\xbfX\x06\x00\x00\x00latin1\x86R.",
        expect![[r#"b"a�""#]],
    );
    check(b"\x80\x02c__builtin__\nbytes\n)R.", expect![[r#"b"""#]]);
}

#[test]
fn what_would_run_is_refused_with_its_place() {
    check(b"cos\nsystem\n(S'id'\ntR.", expect![[r#"Forbidden { class: "os.system", offset: 0 }"#]]);
    check(b"\x80\x02cposix\nsystem\n.", expect![[r#"Forbidden { class: "posix.system", offset: 2 }"#]]);
    check(b"(ios\nsystem\n.", expect![[r#"Forbidden { class: "os.system", offset: 1 }"#]]);
    check(
        b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.",
        expect![[r#"Forbidden { class: "builtins.eval", offset: 18 }"#]],
    );
    check(b"c__builtin__\neval\n.", expect![[r#"Forbidden { class: "builtins.eval", offset: 0 }"#]]);
    check(b"c__main__\nModel\n.", expect![[r#"Forbidden { class: "__main__.Model", offset: 0 }"#]]);
    check(b"cnumpy\nload\nN\x85R.", expect![[r#"Forbidden { class: "numpy.load", offset: 14 }"#]]);
    check(b"N)R.", expect![[r#"Forbidden { class: "something that is no class", offset: 2 }"#]]);
    check(b"\x82\x01.", expect![[r#"Forbidden { class: "extension 1", offset: 0 }"#]]);
    check(b"\x84\x01\x00\x00\x01.", expect![[r#"Forbidden { class: "extension 16777217", offset: 0 }"#]]);
    check(b"Pabc\n.", expect![[r#"Forbidden { class: "persistent reference", offset: 0 }"#]]);
    check(b"K\x01Q.", expect![[r#"Forbidden { class: "persistent reference", offset: 2 }"#]]);
    // Any text may look like a pickle, and is not shown then.
    check(
        b"credentials: me, my word\nand more\n.",
        expect![[r#"Forbidden { class: "something that is no class", offset: 0 }"#]],
    );
    // A dotted name does not lead into another module.
    check(
        b"\x80\x04\x8c\x07sklearn\x8c\x09os.system\x93N\x85R.",
        expect![[r#"Forbidden { class: "sklearn.os.system", offset: 25 }"#]],
    );
}

#[test]
fn arrays_that_were_sent_apart_are_refused() {
    check(
        b"\x80\x05\x97.",
        expect![[
            r#"Unsupported { what: "a pickle whose arrays were sent apart (out-of-band buffers)", help: Some("save the model again without a `buffer_callback`") }"#
        ]],
    );
}

#[test]
fn damage_is_named_with_its_place() {
    check(b"", expect![[r#"Damaged { offset: 0, problem: "1 bytes expected, 0 left" }"#]]);
    check(b".", expect![[r#"Damaged { offset: 0, problem: "the stack is empty" }"#]]);
    check(b"\x80\x02\xff", expect![[r#"Damaged { offset: 2, problem: "0xff is no pickle opcode" }"#]]);
    check(
        b"\x80\x02X\xff\xff\xff\x7fab",
        expect![[r#"Damaged { offset: 7, problem: "2147483647 bytes expected, 2 left" }"#]],
    );
    check(
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xffab",
        expect![[r#"Damaged { offset: 11, problem: "18446744073709551615 bytes expected, 2 left" }"#]],
    );
    check(
        b"K\x01q\xffr\xff\xff\xff\xff.",
        expect![[r#"Damaged { offset: 2, problem: "a memo number is out of order" }"#]],
    );
    check(b"p999999999999\n.", expect![[r#"Damaged { offset: 0, problem: "the stack is empty" }"#]]);
    check(b"h\x05.", expect![[r#"Damaged { offset: 0, problem: "the memo has no such number" }"#]]);
    check(
        b"}K\x01a.",
        expect![[r#"Damaged { offset: 3, problem: "something is appended to what is no list" }"#]],
    );
    check(b"](K\x01u.", expect![[r#"Damaged { offset: 4, problem: "a dict has a key without a value" }"#]]);
    check(b"(K\x01\x85e.", expect![[r#"Damaged { offset: 4, problem: "the stack is empty" }"#]]);
    check(b"K\x01}b.", expect![[r#"Damaged { offset: 3, problem: "a state is set on what has none" }"#]]);
    check(
        b"X\x02\x00\x00\x00\xff\xfe.",
        expect![[r#"Damaged { offset: 5, problem: "a text is not UTF-8" }"#]],
    );
    check(b"I1_000\n.", expect![[r#"Damaged { offset: 0, problem: "a number is not one" }"#]]);
    check(b"cos", expect![[r#"Damaged { offset: 1, problem: "the line does not end" }"#]]);
}

#[test]
fn bombs_are_stopped() {
    // Open containers without end.
    check(&[b'('; 10_000], expect![[r#"TooLarge { what: "open containers", limit: 4096 }"#]]);
    // One text, encoded again and again.
    let text = [b"\x80\x02X\x00\x10\x00\x00", &[b'a'; 0x1000][..], b"q\x000"].concat();
    let encode = b"c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R0".repeat(100);
    check(
        &[text, encode, b"N.".to_vec()].concat(),
        expect![[r#"TooLarge { what: "bytes encoded from texts", limit: 7308 }"#]],
    );
    // A class name of megabytes.
    let name = [b"csklearn.", &[b'a'; 5000][..], b"\nSVC\n."].concat();
    check(&name, expect![[r#"TooLarge { what: "bytes in a class name", limit: 512 }"#]]);
}

/// `joblib.numpy_pickle.NumpyArrayWrapper`, with this state and data.
fn wrapper(shape: &[u8], dtype: &[u8], order: u8, after: &[u8]) -> Vec<u8> {
    let state = [
        b"}(X\x05\x00\x00\x00shape".as_slice(),
        shape,
        b"X\x05\x00\x00\x00orderX\x01\x00\x00\x00",
        &[order],
        b"X\x05\x00\x00\x00dtypecnumpy\ndtype\nX\x02\x00\x00\x00",
        dtype,
        b"\x85Ru",
    ];
    [
        b"\x80\x02cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81".to_vec(),
        state.concat(),
        b"b".to_vec(),
        after.to_vec(),
    ]
    .concat()
}

#[test]
fn arrays_of_joblib_follow_their_wrapper() {
    check(
        &wrapper(b"K\x02K\x02\x86", b"u1", b'F', &[1, 3, 2, 4, b'.']),
        expect!["array[2, 2] Some([1.0, 2.0, 3.0, 4.0])"],
    );
    check(
        &wrapper(b"K\x02\x85", b"f8", b'C', &[0; 15]),
        expect![[r#"Damaged { offset: 108, problem: "16 bytes expected, 15 left" }"#]],
    );
    check(
        &wrapper(b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85", b"f8", b'C', &[0; 15]),
        expect![[
            r#"Inconsistent { class: "numpy.ndarray", problem: "its shape [9223372036854775807] is beyond memory" }"#
        ]],
    );
}

#[test]
fn an_array_inside_an_array_is_refused() {
    let inner = wrapper(b"K\x01\x85", b"u1", b'C', &[1, b'.']);
    check(
        &wrapper(b"K\x01\x85", b"O8", b'C', &inner),
        expect![[r#"Damaged { offset: 215, problem: "an array lies inside an array" }"#]],
    );
}
