use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

use net::{Drain, Limits, Method, Request, Response, StatusCode};

use super::*;

/// Objects by key, as a web server and as an S3.
type Objects = Rc<RefCell<BTreeMap<String, String>>>;

struct Server {
    address: SocketAddr,
    objects: Objects,
    n_gets: Rc<RefCell<usize>>,
    _drain: Drain,
}

fn start() -> Server {
    let (objects, n_gets) = (Objects::default(), Rc::new(RefCell::new(0)));
    let (known, count) = (Rc::clone(&objects), Rc::clone(&n_gets));
    let handler = move |request: Request| {
        let answer = answer(&request, &known.borrow(), &count);
        async move { answer }
    };
    let listener = net::bind("127.0.0.1:0".parse().unwrap(), 1).unwrap().remove(0);
    let address = listener.local_addr().unwrap();
    let (drain, watch) = Drain::new();
    tokio::task::spawn_local(net::serve(listener, handler, Limits::default(), watch));
    Server { address, objects, n_gets, _drain: drain }
}

fn answer(request: &Request, objects: &BTreeMap<String, String>, count: &RefCell<usize>) -> Response {
    let query = request.target.query().unwrap_or_default();
    if query.contains("list-type=2") {
        let prefix = query.split('&').find_map(|pair| pair.strip_prefix("prefix=")).unwrap_or_default();
        let prefix = prefix.replace("%2F", "/");
        let contents: String = objects
            .iter()
            .filter(|(key, _)| key.starts_with(&prefix))
            .map(|(key, text)| {
                format!(
                    "<Contents><Key>{key}</Key><LastModified>2024-01-01T12:00:00.000Z</LastModified>\
                     <ETag>\"{}\"</ETag><Size>{}</Size></Contents>",
                    text.len(),
                    text.len()
                )
            })
            .collect();
        let body = format!(
            "<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"
        );
        return Response::with_body(StatusCode::OK, "application/xml", body);
    }
    let key = request.target.path().trim_start_matches('/').trim_start_matches("bucket/");
    if request.method == Method::HEAD && key.starts_with("no-head/") {
        return Response::new(StatusCode::NOT_IMPLEMENTED);
    }
    if key.starts_with("signed/") && (request.method == Method::HEAD || query != "X-Amz-Signature=a%2Fb&t=c")
    {
        return Response::new(StatusCode::FORBIDDEN);
    }
    if let Some(location) = objects.get(&format!("redirect:{key}")) {
        return Response::new(StatusCode::FOUND).with_field("location", location.clone());
    }
    let authorization = request.fields.get("authorization");
    if key.starts_with("private/") && authorization.is_none_or(|field| field != b"Basic bWU6d29yZA==") {
        return Response::new(StatusCode::UNAUTHORIZED);
    }
    if key.starts_with("broken/") {
        return Response::with_body(StatusCode::FORBIDDEN, "text/plain", "the word is here");
    }
    if key.starts_with("open/") && authorization.is_some() {
        return Response::new(StatusCode::BAD_REQUEST);
    }
    let Some(text) = objects.get(key) else { return Response::new(StatusCode::NOT_FOUND) };
    *count.borrow_mut() += usize::from(request.method == Method::GET);
    Response::with_body(StatusCode::OK, "application/octet-stream", text.clone())
        .with_field("etag", format!("\"{text}\""))
        .with_field("last-modified", "Mon, 01 Jan 2024 12:00:00 GMT")
}

fn run(test: impl Future<Output = ()>) {
    crate::runtime::block_on(async {
        test.await;
        Ok(())
    })
    .unwrap();
}

fn storage(cache: &Path, server: &Server) -> Storage {
    let s3_endpoint = Some(format!("http://{}", server.address));
    Storage { cache: cache.to_owned(), s3_endpoint, shows_progress: false }
}

#[test]
fn local_files_are_used_where_they_are() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("model.joblib"), "x").unwrap();
        let storage =
            Storage { cache: folder.path().join("cache"), s3_endpoint: None, shows_progress: false };
        let absolute = folder.path().join("model.joblib");
        for uri in ["model.joblib", "./model.joblib", &format!("file://{}", absolute.display())] {
            let path = storage.fetch(uri, folder.path()).await.unwrap();
            assert_eq!(fs::canonicalize(path).unwrap(), fs::canonicalize(&absolute).unwrap(), "{uri}");
        }
        let error = storage.fetch("nothing.pkl", folder.path()).await.unwrap_err();
        assert!(error.to_string().contains("nothing.pkl` is not there"), "{error}");
        let error = storage.fetch("ftp://a/b", folder.path()).await.unwrap_err();
        assert!(error.to_string().contains("not from ftp://"), "{error}");
    });
}

#[test]
fn acc_s2_38_a_file_behind_http_is_copied_once_until_it_changes() {
    run(async {
        let (server, cache) = (start(), tempfile::tempdir().unwrap());
        let storage = storage(cache.path(), &server);
        let uri = format!("http://{}/models/model.joblib", server.address);
        server.objects.borrow_mut().insert("models/model.joblib".into(), "one".into());
        let first = storage.fetch(&uri, Path::new("/")).await.unwrap();
        assert_eq!(fs::read_to_string(&first).unwrap(), "one");
        assert_eq!(first.file_name().unwrap(), "model.joblib");
        assert_eq!(storage.fetch(&uri, Path::new("/")).await.unwrap(), first);
        assert_eq!(*server.n_gets.borrow(), 1);
        server.objects.borrow_mut().insert("models/model.joblib".into(), "two".into());
        let second = storage.fetch(&uri, Path::new("/")).await.unwrap();
        assert_eq!(fs::read_to_string(&second).unwrap(), "two");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&second), mode(second.parent().unwrap())), (0o600, 0o700));
        assert_eq!(mode(&cache.path().join(NOTES)), 0o700);
    });
}

#[test]
fn a_server_that_does_not_know_head_is_asked_for_the_file() {
    run(async {
        let server = start();
        server.objects.borrow_mut().insert("no-head/model.pkl".to_owned(), "one".to_owned());
        let cache = tempfile::tempdir().unwrap();
        // What a process that is no more has left behind goes.
        let stale = cache.path().join("unfinished-999999999");
        fs::create_dir_all(&stale).unwrap();
        let uri = format!("http://{}/no-head/model.pkl", server.address);
        let path = storage(cache.path(), &server).fetch(&uri, Path::new("/")).await.unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "one");
        assert!(!stale.exists());
    });
}

#[test]
fn what_a_url_asks_besides_its_path_is_asked_and_never_told() {
    run(async {
        let (server, cache) = (start(), tempfile::tempdir().unwrap());
        let storage = storage(cache.path(), &server);
        server.objects.borrow_mut().insert("signed/model.pkl".to_owned(), "one".to_owned());
        let uri = |query: &str| format!("http://{}/signed/model.pkl?{query}", server.address);
        for _ in 0..2 {
            let path = storage.fetch(&uri("X-Amz-Signature=a%2Fb&t=c"), Path::new("/")).await.unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "one");
            assert_eq!(path.file_name().unwrap(), "model.pkl");
        }
        for (uri, words) in [
            (uri("t=hunter 2"), "403"),
            (uri("X-Amz-Signature=hunter"), "403"),
            ("s3://bucket/model.pkl?t=hunter".to_owned(), "`%3F`"),
            ("http:///model.pkl?t=hunter".to_owned(), "names no server"),
        ] {
            let error = format!("{:#}", storage.fetch(&uri, Path::new("/")).await.unwrap_err());
            assert!(error.contains(words) && error.contains("model.pkl?***`"), "{error}");
            assert!(!error.contains("hunter"), "{error}");
        }
    });
}

#[test]
fn a_server_that_says_no_length_is_told_of_in_words() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
            let _ = io::Read::read(&mut client, &mut [0; 4096]);
            let _ = io::Write::write_all(&mut client, answer);
        }
    });
    run(async {
        let cache = tempfile::tempdir().unwrap();
        let storage = Storage { cache: cache.path().to_owned(), s3_endpoint: None, shows_progress: false };
        let fetched = storage.fetch(&format!("http://{address}/model.pkl"), Path::new("/")).await;
        let error = format!("{:#}", fetched.unwrap_err());
        assert!(error.contains("does not say how long the file is"), "{error}");
    });
}

#[test]
fn acc_s2_38_a_folder_in_s3_is_copied_with_its_tree() {
    run(async {
        let (server, cache) = (start(), tempfile::tempdir().unwrap());
        let storage = storage(cache.path(), &server);
        for key in ["wine/model/MLmodel", "wine/model/data/model.pkl", "wine/model2/other"] {
            server.objects.borrow_mut().insert(key.into(), key.into());
        }
        let folder = storage.fetch("s3://bucket/wine/model", Path::new("/")).await.unwrap();
        assert_eq!(fs::read_to_string(folder.join("MLmodel")).unwrap(), "wine/model/MLmodel");
        assert_eq!(fs::read_to_string(folder.join("data/model.pkl")).unwrap(), "wine/model/data/model.pkl");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
        let n_gets = *server.n_gets.borrow();
        assert_eq!(storage.fetch("s3://bucket/wine/model", Path::new("/")).await.unwrap(), folder);
        assert_eq!(*server.n_gets.borrow(), n_gets);
        let error = storage.fetch("s3://bucket/nothing", Path::new("/")).await.unwrap_err();
        assert!(error.to_string().contains("holds no files"), "{error:#}");
    });
}

#[test]
fn without_a_network_the_copy_serves_or_the_error_says_so() {
    run(async {
        let (server, cache) = (start(), tempfile::tempdir().unwrap());
        let storage = storage(cache.path(), &server);
        let uri = format!("http://{}/model.pkl", server.address);
        server.objects.borrow_mut().insert("model.pkl".into(), "x".into());
        let copy = storage.fetch(&uri, Path::new("/")).await.unwrap();
        let address = server.address;
        drop(server);
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        assert_eq!(storage.fetch(&uri, Path::new("/")).await.unwrap(), copy);
        let other = format!("http://{address}/other.pkl");
        let error = storage.fetch(&other, Path::new("/")).await.unwrap_err();
        assert!(format!("{error:#}").contains("there is no copy of it here"), "{error:#}");
    });
}

#[test]
fn metadata_services_are_no_storage_and_no_redirect_leads_there() {
    run(async {
        let (server, cache) = (start(), tempfile::tempdir().unwrap());
        let storage = storage(cache.path(), &server);
        let direct =
            "http://me:word@169.254.169.254/latest/meta-data/iam/security-credentials/role".to_owned();
        let here = format!("http://{}", server.address);
        for (key, location) in [
            ("redirect:1.pkl", "http://169.254.169.254/latest/meta-data/".to_owned()),
            ("redirect:2.pkl", "/1.pkl".to_owned()),
            ("redirect:3.pkl", "http://[::ffff:169.254.169.254]/".to_owned()),
            ("redirect:4.pkl", "http://metadata.google.internal/computeMetadata/v1/".to_owned()),
        ] {
            server.objects.borrow_mut().insert(key.to_owned(), location);
        }
        let redirecting = (1..=4).map(|n| format!("{here}/{n}.pkl"));
        for uri in redirecting.chain([direct]) {
            let error = format!("{:#}", storage.fetch(&uri, Path::new("/")).await.unwrap_err());
            assert!(
                error.starts_with("cannot fetch `") && error.contains("no model is fetched from"),
                "{error}"
            );
            assert!(!error.contains("word") && !error.contains("retries"), "{error}");
        }
        server.objects.borrow_mut().insert("redirect:5.pkl".to_owned(), "/5.pkl".to_owned());
        let error = storage.fetch(&format!("{here}/5.pkl"), Path::new("/")).await.unwrap_err();
        assert!(format!("{error:#}").contains("redirects more than 5 times"), "{error:#}");
        let s3 = Storage { s3_endpoint: Some("http://169.254.169.254".to_owned()), ..storage };
        let error = s3.fetch("s3://bucket/model", Path::new("/")).await.unwrap_err();
        assert!(error.to_string().contains("no model is fetched from `169.254.169.254`"), "{error:#}");
    });
}

#[test]
fn a_copy_from_before_does_not_hide_a_refusal() {
    run(async {
        let (server, cache) = (start(), tempfile::tempdir().unwrap());
        let storage = storage(cache.path(), &server);
        let uri = format!("http://{}/model.pkl", server.address);
        server.objects.borrow_mut().insert("model.pkl".to_owned(), "x".to_owned());
        storage.fetch(&uri, Path::new("/")).await.unwrap();
        server.objects.borrow_mut().insert("redirect:model.pkl".to_owned(), "http://169.254.1.1/".to_owned());
        let error = storage.fetch(&uri, Path::new("/")).await.unwrap_err();
        assert!(format!("{error:#}").contains("no model is fetched from"), "{error:#}");
    });
}

#[test]
fn a_password_is_for_the_server_it_was_given_for_and_never_shown() {
    run(async {
        let (server, other, cache) = (start(), start(), tempfile::tempdir().unwrap());
        let storage = storage(cache.path(), &server);
        let uri = |path: &str| format!("http://me:word@{}/{path}", server.address);
        server.objects.borrow_mut().insert("private/model.pkl".to_owned(), "one".to_owned());
        let path = storage.fetch(&uri("private/model.pkl"), Path::new("/")).await.unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "one");
        // Another server gets nothing of it; this one does, when it redirects to itself.
        other.objects.borrow_mut().insert("open/model.pkl".to_owned(), "two".to_owned());
        for (key, location) in [
            ("redirect:to-other.pkl", format!("http://{}/open/model.pkl", other.address)),
            ("redirect:to-self.pkl", "/private/model.pkl".to_owned()),
        ] {
            server.objects.borrow_mut().insert(key.to_owned(), location);
        }
        let path = storage.fetch(&uri("to-other.pkl"), Path::new("/")).await.unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "two");
        let path = storage.fetch(&uri("to-self.pkl"), Path::new("/")).await.unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "one");

        let others = [uri("broken/a.pkl"), uri("a.pkl?sig=word"), "ftp://me:word@a/b".to_owned()];
        for uri in [uri("nothing.pkl")].into_iter().chain(others) {
            let error = format!("{:#}", storage.fetch(&uri, Path::new("/")).await.unwrap_err());
            assert!(error.contains("***") && !error.contains("word"), "{error}");
        }
    });
}
