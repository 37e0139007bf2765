//! How long a request takes without a socket: `in_process MODEL PATH BODY [FIELD: VALUE]…` prints the least time of many.
//!
//! ```text
//! cargo run --release -p serving --example in_process -- \
//!     fixtures/models/iris-svc/model.joblib /v1/models/m:predict '{"instances": [[6.8, 2.8, 4.8, 1.4]]}'
//! ```

use std::path::Path;
use std::time::{Duration, Instant};

use net::{Body, Connection, Fields, Handler, Method, Request, Target, Version};
use serving::{LoadedModel, ModelState, ServedModel, Server, Settings, Style};

const ROUNDS: u32 = 300;
const REQUESTS: u32 = 200;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, path, body] = arguments.as_slice() else {
        eprintln!("in_process MODEL PATH BODY");
        return;
    };
    let loaded = LoadedModel::load(Path::new(model)).expect("MODEL is a file or a folder with a model");
    let model = ServedModel {
        name: "m".to_owned(),
        aliases: Vec::new(),
        version: Some("v1".to_owned()),
        style: Style::MlServer,
        method: None,
        state: ModelState::Ready(Box::new(loaded)),
    };
    let handler = Server::new(vec![model], Settings::default()).expect("one model has one name").handler();
    let body: net::Bytes = body.clone().into();
    let address = ([127, 0, 0, 1], 1).into();
    let request = || {
        let mut fields = Fields::with_capacity(4, 128);
        fields.push("host", "127.0.0.1:8080");
        fields.push("content-type", "application/json");
        fields.push("content-length", body.len().to_string());
        Request {
            method: Method::POST,
            target: Target::new(path.as_str()),
            version: Version::HTTP_11,
            fields,
            body: Body::from(body.clone()),
            connection: Connection { peer: address, local: address, tls: None },
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime starts");
    runtime.block_on(async {
        let response = handler.handle(request()).await;
        let status = response.status;
        let answer = response.body.collect(usize::MAX).await.unwrap_or_default();
        println!("{status}: {}", String::from_utf8_lossy(&answer[..answer.len().min(200)]));
        let mut making = Duration::MAX;
        let mut least = Duration::MAX;
        for _ in 0..ROUNDS {
            let start = Instant::now();
            for _ in 0..REQUESTS {
                std::hint::black_box(request());
            }
            making = making.min(start.elapsed());
            let start = Instant::now();
            for _ in 0..REQUESTS {
                std::hint::black_box(handler.handle(request()).await);
            }
            least = least.min(start.elapsed());
        }
        println!("{} ns per request", (least - making).as_nanos() / u128::from(REQUESTS));
    });
}
