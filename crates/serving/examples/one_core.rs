//! A server on one core, to measure: `one_core PORT MODEL` serves a model, `one_core PORT constant` answers every request
//! with the same 24 bytes on the same stack.
//!
//! ```text
//! cargo build --release -p serving --example one_core
//! taskset -c 0 target/release/examples/one_core 9001 fixtures/models/iris-svc/model.joblib
//! taskset -c 1 wrk -t1 -c32 -d10 -s iris.lua http://127.0.0.1:9001/v1/models/m:predict
//! ```

use std::path::Path;

use net::{Drain, Handler, Limits, Request, Response, StatusCode, bind, serve};
use serving::{LoadedModel, ModelState, ServedModel, Server, Settings, Style};
use tokio::task::LocalSet;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(port), Some(model)) = (arguments.next(), arguments.next()) else {
        eprintln!("one_core PORT MODEL, or one_core PORT constant");
        return;
    };
    let port = port.parse().expect("PORT is a number");
    match model.as_str() {
        "constant" => run(port, answer_constant),
        path => {
            let loaded =
                LoadedModel::load(Path::new(path)).expect("MODEL is a file or a folder with a model");
            let model = ServedModel {
                name: "m".to_owned(),
                aliases: Vec::new(),
                version: Some("v1".to_owned()),
                style: Style::MlServer,
                method: None,
                state: ModelState::Ready(Box::new(loaded)),
            };
            let server = Server::new(vec![model], Settings::default()).expect("one model has one name");
            run(port, server.handler());
        }
    }
}

async fn answer_constant(request: Request) -> Response {
    let _ = request.body.collect(1_000_000).await;
    Response::with_body(StatusCode::OK, "application/json", "{\"predictions\": [6.0335]}")
}

fn run(port: u16, handler: impl Handler) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    LocalSet::new().block_on(&runtime, async move {
        let address = ([127, 0, 0, 1], port).into();
        let listener = bind(address, 1).expect("the port is free").remove(0);
        let (_drain, watch) = Drain::new();
        serve(listener, handler, Limits::default(), watch).await.expect("the socket can be listened on");
    });
}
