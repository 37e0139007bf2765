use super::*;
use crate::local::running::{ContainerName, Running, Stay};

fn running(memory_limit: Option<u64>) -> (Running, ContainerName, Stay) {
    let running = Running::new(Leftovers::new("/nowhere".into()));
    let name = ContainerName {
        namespace: "default".to_owned(),
        pod: "web".to_owned(),
        container: "main".to_owned(),
    };
    let launch = Launch {
        program: "/does/not/matter".into(),
        arguments: vec!["x".to_owned()],
        environment: vec![
            ("NAME".to_owned(), "value".to_owned()),
            ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
        ],
        working_directory: Some("/usr".into()),
        input: None,
        has_input: false,
    };
    let stay = running.enter(
        name.clone(),
        &launch,
        "127.0.0.1".parse().unwrap(),
        memory_limit,
        None,
        std::process::id(),
    );
    (running, name, stay)
}

const ALL: Wanted = Wanted { stdin: true, stdout: true, stderr: true, terminal: false };

fn shell(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

/// Runs a script with this input; gives its output, its errors and its end.
async fn run(script: &str, wanted: Wanted, told: Vec<Input>) -> (String, String, CommandEnd) {
    let (running, name, _stay) = running(None);
    let command = running.find(&name).unwrap().start(&shell(script), wanted).await.unwrap();
    let (tell, input) = mpsc::channel(8);
    let (output, mut said) = mpsc::channel(8);
    let telling = async move {
        for input in told {
            let _ = tell.send(input).await;
        }
        tell
    };
    let listening = async move {
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        while let Some(output) = said.recv().await {
            match output {
                Output::Stdout(bytes) => out.extend_from_slice(&bytes),
                Output::Stderr(bytes) => errors.extend_from_slice(&bytes),
            }
        }
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(out), text(errors))
    };
    let (end, (out, errors), _tell) = tokio::join!(command.run(input, output), listening, telling);
    (out, errors, end)
}

#[tokio::test]
async fn a_command_has_the_environment_and_the_folder_of_its_container() {
    let (out, errors, end) = run("echo $NAME $HOME; pwd; echo oops >&2; exit 3", ALL, Vec::new()).await;
    assert_eq!((out.as_str(), errors.as_str(), end), ("value\n/usr\n", "oops\n", CommandEnd::Code(3)));
}

#[tokio::test]
async fn input_ends_when_it_is_said_to() {
    let told = vec![Input::Bytes(Bytes::from(vec![b'x'; 100_000])), Input::End];
    let (out, _, end) = run("wc -c", ALL, told).await;
    assert_eq!((out.trim(), end), ("100000", CommandEnd::Code(0)));
}

#[tokio::test]
async fn a_terminal_has_a_size_and_one_output() {
    let wanted = Wanted { terminal: true, ..ALL };
    let told = vec![Input::Resize(97, 31), Input::Bytes(Bytes::from_static(b"go\n"))];
    let script = "read word; test -t 0 && test -t 1 && echo $word; stty size; echo oops >&2";
    let (out, errors, end) = run(script, wanted, told).await;
    assert_eq!(errors, "");
    assert_eq!(end, CommandEnd::Code(0), "{out}");
    assert_eq!(out, "go\r\ngo\r\n31 97\r\noops\r\n");
}

#[tokio::test]
async fn a_command_ends_with_its_container_and_its_children_with_it() {
    let (running, name, stay) = running(None);
    let script = shell("sleep 1000 & echo $!; wait");
    let command = running.find(&name).unwrap().start(&script, ALL).await.unwrap();
    let (_tell, input) = mpsc::channel(8);
    let (output, mut said) = mpsc::channel(8);
    let listening = async move {
        let Some(Output::Stdout(child)) = said.recv().await else { panic!("no child") };
        drop(stay);
        while said.recv().await.is_some() {}
        String::from_utf8_lossy(&child).trim().to_owned()
    };
    let (end, child) = tokio::join!(command.run(input, output), listening);
    assert_eq!(end, CommandEnd::WithContainer);
    assert!(running.find(&name).is_none());
    // Killed it is, but the kernel takes its time to end it.
    let state = || std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
    let is_gone = |state: &str| state.is_empty() || state.contains(") Z");
    let patience = tokio::time::Instant::now() + Duration::from_secs(60);
    while !is_gone(&state()) {
        assert!(tokio::time::Instant::now() < patience, "{}", state());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_command_that_nobody_listens_to_is_ended() {
    let (running, name, _stay) = running(None);
    let command = running.find(&name).unwrap().start(&shell("sleep 1000"), ALL).await.unwrap();
    let ((_tell, input), (output, said)) = (mpsc::channel(8), mpsc::channel(8));
    drop(said);
    assert_eq!(command.run(input, output).await, CommandEnd::Unwanted);
}

#[tokio::test]
async fn a_command_has_the_limit_of_its_container() {
    let (running, name, _stay) = running(Some(1));
    let command = running.find(&name).unwrap().start(&shell("sleep 1000"), ALL).await.unwrap();
    let ((_tell, input), (output, _said)) = (mpsc::channel(8), mpsc::channel(8));
    assert_eq!(command.run(input, output).await, CommandEnd::OutOfMemory);
}

#[tokio::test]
async fn a_program_that_is_not_there_is_told() {
    let (running, name, _stay) = running(None);
    let error = running.find(&name).unwrap().start(&["/does/not/exist".to_owned()], ALL).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}
