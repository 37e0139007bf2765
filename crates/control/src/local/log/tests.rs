use std::io::PipeWriter;

use super::*;

struct Case {
    _folder: tempfile::TempDir,
    logs: Logs,
}

impl Case {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { logs: Logs::new(folder.path().to_owned()), _folder: folder }
    }

    fn start(&self, start: u32) -> (PipeWriter, oneshot::Receiver<String>) {
        let (output, input) = io::pipe().unwrap();
        (input, self.logs.keep(("mlops", "api-1", "main"), start, output).unwrap())
    }

    /// Writes a whole log and waits until it is kept.
    fn write(&self, start: u32, text: &[u8]) -> String {
        let (mut input, tail) = self.start(start);
        input.write_all(text).unwrap();
        drop(input);
        tail.blocking_recv().unwrap()
    }
}

fn query() -> LogQuery {
    LogQuery {
        namespace: "mlops".to_owned(),
        pod: "api-1".to_owned(),
        container: "main".to_owned(),
        ..LogQuery::default()
    }
}

#[test]
fn acc_s4_113_logs_by_tail_time_and_start() {
    let case = Case::new();
    case.write(0, b"first start\n");
    case.write(1, b"one\ntwo\nthree, unfinished");
    let read = |query: LogQuery| String::from_utf8(case.logs.read(&query).unwrap()).unwrap();
    assert_eq!(read(query()), "one\ntwo\nthree, unfinished\n");
    assert_eq!(read(LogQuery { previous: true, ..query() }), "first start\n");
    assert_eq!(read(LogQuery { tail_lines: Some(1), ..query() }), "three, unfinished\n");
    assert_eq!(read(LogQuery { tail_lines: Some(0), ..query() }), "");
    let (past, future) = ("2020-01-01T00:00:00Z".parse().ok(), "2100-01-01T00:00:00Z".parse().ok());
    assert_eq!(read(LogQuery { since: past, ..query() }).lines().count(), 3);
    assert_eq!(read(LogQuery { since: future, ..query() }), "");
    for line in read(LogQuery { timestamps: true, ..query() }).lines() {
        let (time, _) = line.split_once(' ').unwrap();
        assert_eq!(time.len(), "2026-11-21T12:00:00.123456789Z".len(), "{line}");
        time.parse::<Timestamp>().unwrap();
    }
}

#[test]
fn only_the_last_two_starts_are_kept() {
    let case = Case::new();
    for start in 0..4 {
        case.write(start, format!("start {start}\n").as_bytes());
    }
    let folder = case.logs.container_folder("mlops", "api-1", "main").unwrap();
    assert_eq!(starts(&folder).collect::<BTreeSet<_>>(), [2, 3].into());
    case.logs.forget("mlops", "api-1");
    assert!(case.logs.read(&query()).is_err());
}

#[test]
fn a_log_without_end_does_not_fill_the_disk() {
    let case = Case::new();
    let line = "x".repeat(1000);
    let many: String = (0..12_000).map(|n| format!("{n} {line}\n")).collect();
    case.write(0, many.as_bytes());
    let folder = case.logs.container_folder("mlops", "api-1", "main").unwrap();
    let bytes: u64 =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes < 2 * FILE_BYTES + 100_000, "{bytes}");
    let kept = String::from_utf8(case.logs.read(&query()).unwrap()).unwrap();
    assert!(kept.lines().last().unwrap().starts_with("11999 "));
    assert!(kept.len() > usize::try_from(FILE_BYTES).unwrap(), "the file before is read, too");
}

#[test]
fn f_15_lines_that_cannot_be_written_are_counted_and_hold_nobody_up() {
    let case = Case::new();
    let folder = case.logs.container_folder("mlops", "api-1", "main").unwrap();
    fs::create_dir_all(folder.parent().unwrap()).unwrap();
    // Nothing can be written where a file takes the folder's place.
    fs::write(&folder, "").unwrap();
    let (mut input, tail) = case.start(0);
    input.write_all(&[b'x'; 200_000]).unwrap();
    input.write_all(b"\n").unwrap();
    fs::remove_file(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
    input.write_all(b"after\n").unwrap();
    drop(input);
    tail.blocking_recv().unwrap();
    let text = String::from_utf8(case.logs.read(&query()).unwrap()).unwrap();
    assert!(text.contains("lines could not be written here)\n") && text.ends_with("after\n"), "{text}");
}

#[test]
fn the_reason_of_an_end_is_short() {
    let case = Case::new();
    assert_eq!(case.write(0, b"warming up\nno such model\n"), "warming up\nno such model");
    let many: String = (0..1000).map(|n| format!("line {n}\n")).collect();
    let tail = case.write(1, many.as_bytes());
    assert!(tail.ends_with("line 999") && tail.lines().count() <= TAIL_LINES);
    let tail = case.write(2, &[b'x'; 100_000]);
    assert!(tail.len() <= TAIL_BYTES && tail.starts_with("xxx"), "{}", tail.len());
}

#[test]
fn names_cannot_lead_elsewhere() {
    let case = Case::new();
    for pod in ["../x", "a/b", "..", ""] {
        assert!(case.logs.read(&LogQuery { pod: pod.to_owned(), ..query() }).is_err(), "{pod}");
    }
}

#[tokio::test]
async fn acc_s3_133_a_log_is_followed_to_its_end() {
    let case = Case::new();
    let (mut input, _tail) = case.start(0);
    input.write_all(b"one\n").unwrap();
    let mut stream = loop {
        // The thread writes at its own pace.
        match case.logs.follow(&query()) {
            Ok(stream) => break stream,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert_eq!(stream.next().await.unwrap(), b"one\n");
    input.write_all(b"two\n").unwrap();
    assert_eq!(stream.next().await.unwrap(), b"two\n");
    drop(input);
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn a_follower_goes_on_in_the_next_file() {
    let case = Case::new();
    let (mut input, _tail) = case.start(0);
    let mut stream = case.logs.follow(&query()).unwrap();
    let line = "x".repeat(1000);
    let writer = std::thread::spawn(move || {
        for n in 0..5_000 {
            writeln!(input, "{n} {line}").unwrap();
        }
    });
    let mut text = Vec::new();
    while let Some(more) = stream.next().await {
        text.extend(more);
    }
    writer.join().unwrap();
    let text = String::from_utf8(text).unwrap();
    let last: usize = text.lines().last().unwrap().split(' ').next().unwrap().parse().unwrap();
    assert_eq!(last, 4_999);
}
