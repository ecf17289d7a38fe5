//! Every route there is: what it takes, what it answers, who may ask, what answers it.
//!
//! The router, the list under `/api/v1`, the OpenAPI document and the tests of access are made from this table and
//! from nothing else. What is said of each stands in [`route`].

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request};
use axum::routing::{MethodFilter, on};

mod route;

pub(crate) use route::{Answer, Part, Route, Verb};

use route::{get, post};

use crate::access::{Role, Terms};
use crate::ask::Patience;
use crate::params::{NAME, Parameter, cursor, integer, one_of, required, text, texts};
use crate::shown::devices::Range;
use crate::state::Stage;
use crate::{admit, api, health, live, metrics, openapi, page, web_socket};

const SOURCE: Parameter =
    text("source", "The source, by its name in the file; the first of the file if none is given.");
const SEARCH: Parameter = text("search", "Part of the key or of a text value, upper and lower case alike.");
const STATE: Parameter =
    one_of("state", &["any", "live", "quiet", "late", "alerting"], "Only devices in this state.");
const SORT: Parameter = text(
    "sort",
    "`key`, `lastSeen`, `clock` (how far ahead) or a field; with `-` before it from the greatest to the smallest.",
);
const WHERE: Parameter = texts(
    "where",
    1_000,
    MOST_CHOICES,
    "Only what said this last, as `FIELD:VALUE`: `status:ERROR`, or `status:` for what never said one. Several values of one field mean any of them, several fields all of them.",
);
const ROW_WHERE: Parameter = texts(
    "where",
    1_000,
    MOST_CHOICES,
    "Only rows with this value of a label, as `FIELD:VALUE`; `FIELD:` means rows without one.",
);
const CURSOR: Parameter = cursor("cursor", "Where to go on: `next` of the answer before.");
const LIMIT: Parameter = integer("limit", 1, 1_000, 50, "Most items of an answer.");
const KEY: Parameter = texts("key", NAME, MOST_KEYS, "The key of a device; may be given several times.");
const FIELDS: Parameter = texts(
    "fields",
    4_000,
    10,
    "Names of the fields that are wanted, with commas between them or each in a parameter of its own, as one must be that has a comma in its name; all if none is given.",
);
const QUERY: Parameter = text("query", "Only what this query could not decode.");
const CODE: Parameter = text("code", "Only records with this code, such as `json.syntax`.");

/// Most values that a question chooses.
const MOST_CHOICES: usize = 20;
/// Most keys that a picture shows beside all devices: more lines are none.
pub(crate) const MOST_KEYS: usize = 50;
/// The latest time that may be asked for: it has its place in every number of a program that reads JSON.
const LATEST_MS: u64 = 8_640_000_000_000_000;
/// Most rows of an answer to SQL.
pub(crate) const MOST_ROWS: u64 = 10_000;
const ROWS: Parameter = integer("limit", 1, MOST_ROWS, 1_000, "Most rows of the answer.");

/// Every route.
pub(crate) static ROUTES: &[Route] = &[
    Route {
        role: Role::Anyone,
        ..get("/", "the page", Answer::Other("text/html"), |ask| Box::pin(page::index(ask)))
    },
    Route {
        role: Role::Anyone,
        ..get("/assets/{name}", "a file of the page", Answer::Other("*/*"), |ask| Box::pin(page::asset(ask)))
    },
    Route {
        role: Role::Anyone,
        patience: Patience::Aside,
        ..get(
            "/health",
            "200 while all is well, else 503; to a viewer also what is wrong",
            Answer::Health("Health"),
            |ask| Box::pin(health::health(ask)),
        )
    },
    Route {
        patience: Patience::Aside,
        ..get(
            "/metrics",
            "counts and gauges for Prometheus",
            Answer::Other("application/openmetrics-text"),
            |ask| Box::pin(metrics::metrics(ask)),
        )
    },
    Route {
        changes: true,
        ..post(
            "/api/v1/session",
            Role::Anyone,
            "signs in with a token: a cookie that lasts for twelve hours",
            Some("SignIn"),
            Answer::Json("Session"),
            |ask| Box::pin(api::session::sign_in(ask)),
        )
    },
    Route {
        verb: Verb::Delete,
        changes: true,
        ..post("/api/v1/session", Role::Anyone, "signs out", None, Answer::Nothing, |ask| {
            Box::pin(api::session::sign_out(ask))
        })
    },
    get("/api/v1", "this list", Answer::Json("EndPoints"), |ask| Box::pin(api::end_points(ask))),
    get(
        "/api/v1/openapi.json",
        "the description of all this for programs",
        Answer::Tagged("Document"),
        |ask| Box::pin(openapi::get(ask)),
    ),
    get(
        "/api/v1/pipelines",
        "the pipelines: one, with what is wrong with it",
        Answer::Json("Pipelines"),
        |ask| Box::pin(api::pipelines::list(ask)),
    ),
    get("/api/v1/pipelines/{name}", "one of them", Answer::Json("Pipeline"), |ask| {
        Box::pin(api::pipelines::one(ask))
    }),
    Route {
        patience: Patience::Reload,
        ..post(
            "/api/v1/reload",
            Role::Admin,
            "reads the pipeline's file again and takes what changed, if every change is safe while it runs",
            None,
            Answer::Json("Reloaded"),
            |ask| Box::pin(api::reload::reload(ask)),
        )
    },
    get(
        "/api/v1/schema",
        "sources, fields, queries, tables, panels and alert rules",
        Answer::Tagged("Schema"),
        |ask| Box::pin(api::schema::schema(ask)),
    ),
    get(
        "/api/v1/queries",
        "each query: state, error, lag, ledger, latency, last progress",
        Answer::Json("Queries"),
        |ask| Box::pin(api::queries::list(ask)),
    ),
    get("/api/v1/queries/{name}", "one of them", Answer::Json("Query"), |ask| {
        Box::pin(api::queries::one(ask))
    }),
    get(
        "/api/v1/queries/{name}/progress",
        "its newest progress reports, in Spark's format",
        Answer::Json("Progress"),
        |ask| Box::pin(api::queries::progress(ask)),
    ),
    post(
        "/api/v1/queries/{name}/stop",
        Role::Operator,
        "ends it after the epoch it is in; the others go on",
        None,
        Answer::Accepted("Query"),
        |ask| Box::pin(api::queries::stop(ask)),
    ),
    post(
        "/api/v1/queries/{name}/start",
        Role::Operator,
        "starts it again where it was",
        None,
        Answer::Accepted("Query"),
        |ask| Box::pin(api::queries::start(ask)),
    ),
    Route {
        parameters: &[SOURCE, SEARCH, STATE, WHERE, SORT, LIMIT, CURSOR, FIELDS],
        ..get(
            "/api/v1/devices",
            "the devices of a source, or of a view that is followed, with their newest values",
            Answer::Json("Devices"),
            |ask| Box::pin(api::devices::list(ask)),
        )
    },
    Route {
        parameters: &[SOURCE, text("key", "The key of the device.")],
        ..get("/api/v1/device", "one of them", Answer::Json("Device"), |ask| Box::pin(api::devices::one(ask)))
    },
    Route {
        patience: Patience::Statement,
        parameters: &[
            SOURCE,
            text("key", "The key of the device."),
            text(
                "table",
                "Where the rows are read: a table, view or source of the pipeline with these columns; the source itself if none is given.",
            ),
            text(
                "time",
                "The column by which rows are put in order, newest first; the source's own time if none is given.",
            ),
            FIELDS,
            ROW_WHERE,
            LIMIT,
        ],
        ..get(
            "/api/v1/device/history",
            "what one of them said: its rows with labels and texts, newest first",
            Answer::Json("DeviceHistory"),
            |ask| Box::pin(api::device_history::list(ask)),
        )
    },
    Route {
        parameters: &[
            SOURCE,
            required("field", NAME, "The name of a number field."),
            one_of("range", &Range::WORDS, "How far back."),
            KEY,
            integer("points", 1, 2_000, 900, "Most points of a series."),
        ],
        ..get(
            "/api/v1/history",
            "what a field was: of each key, or of all devices together",
            Answer::Json("History"),
            |ask| Box::pin(api::history::history(ask)),
        )
    },
    Route {
        parameters: &[SOURCE, SEARCH, STATE, WHERE],
        ..get(
            "/api/v1/labels",
            "how many devices said each value of a label last",
            Answer::Json("Labels"),
            |ask| Box::pin(api::labels::list(ask)),
        )
    },
    Route {
        parameters: &[
            SOURCE,
            required("field", NAME, "The name of a label."),
            one_of("range", &Range::WORDS, "How far back."),
            ROW_WHERE,
            integer("points", 1, 300, 180, "Most steps."),
        ],
        ..get(
            "/api/v1/shares",
            "how many rows had each value of a label, over time",
            Answer::Json("Shares"),
            |ask| Box::pin(api::labels::shares(ask)),
        )
    },
    Route {
        parameters: &[
            one_of("state", &["all", "open", "cleared"], "Only alerts in this state."),
            text("source", "Only alerts of this source."),
            text("key", "Only alerts about this key."),
            one_of(
                "keyIs",
                &["any", "null", "empty"],
                "Only alerts whose key is NULL, or the empty text: `key` can say neither.",
            ),
            text("rule", "Only alerts of this rule."),
            LIMIT,
            CURSOR,
        ],
        ..get("/api/v1/alerts", "alerts, newest first", Answer::Json("Alerts"), |ask| {
            Box::pin(api::alerts::list(ask))
        })
    },
    post(
        "/api/v1/alerts/acknowledge",
        Role::Operator,
        "says that somebody takes care of an open alert; the first who does counts",
        Some("Acknowledge"),
        Answer::Json("Alert"),
        |ask| Box::pin(api::alerts::acknowledge(ask)),
    ),
    post(
        "/api/v1/alerts/comment",
        Role::Operator,
        "says something of an open alert; the newest twenty comments are kept",
        Some("Comment"),
        Answer::Json("Alert"),
        |ask| Box::pin(api::alerts::comment(ask)),
    ),
    get(
        "/api/v1/silences",
        "who is told of nothing until when: what people made, first what holds, and what the file says",
        Answer::Json("Silences"),
        |ask| Box::pin(api::silences::list(ask)),
    ),
    post(
        "/api/v1/silences",
        Role::Operator,
        "makes a silence: alerts open and clear all the same, nobody is told of those that it is about",
        Some("Silencing"),
        Answer::Json("Silence"),
        |ask| Box::pin(api::silences::make(ask)),
    ),
    Route {
        verb: Verb::Delete,
        ..post(
            "/api/v1/silences/{id}",
            Role::Operator,
            "ends a silence now; one that has ended stays as it is",
            None,
            Answer::Json("Silence"),
            |ask| Box::pin(api::silences::end(ask)),
        )
    },
    Route {
        parameters: &[QUERY, CODE, integer("limit", 1, 200, 50, "Most items of an answer."), CURSOR],
        ..get(
            "/api/v1/quarantine",
            "records that could not be decoded, newest first",
            Answer::Json("Quarantine"),
            |ask| Box::pin(api::quarantine::list(ask)),
        )
    },
    post(
        "/api/v1/quarantine/replay",
        Role::Operator,
        "asks the queries to decode records again, with their next epochs",
        Some("Chosen"),
        Answer::Accepted("Requested"),
        |ask| Box::pin(api::quarantine::replay(ask)),
    ),
    post(
        "/api/v1/quarantine/drop",
        Role::Admin,
        "takes records out of the quarantine",
        Some("Chosen"),
        Answer::Accepted("Requested"),
        |ask| Box::pin(api::quarantine::drop(ask)),
    ),
    Route {
        parameters: &[
            text("query", "Only what this query judged."),
            text("source", "Only of this source."),
            text("rule", "Only this expectation: `failed` counts what failed it."),
            text("device", "Only this device: `failed` counts its failures, of all rules or of the one."),
            integer(
                "from",
                0,
                LATEST_MS,
                0,
                "From when on, milliseconds since 1970; three hours before `to` if none is given. What began up to three hours ago is told by minutes, else by hours, of two weeks.",
            ),
            integer("to", 0, LATEST_MS, 0, "Until when, milliseconds since 1970; now if none is given."),
            integer("limit", 1, 32, 10, "Most devices, the worst first."),
        ],
        ..get(
            "/api/v1/quality",
            "how many records were as their sources expect, over time, by rule and by device, over restarts",
            Answer::Json("Quality"),
            |ask| Box::pin(api::quality::list(ask)),
        )
    },
    Route {
        parameters: &[integer("limit", 1, 1_000, 50, "Most archives of each query, the newest.")],
        ..get(
            "/api/v1/cycles",
            "the queries that collect files and archive them: what each does, and its newest archives",
            Answer::Json("Cycles"),
            |ask| Box::pin(api::cycles::list(ask)),
        )
    },
    get(
        "/api/v1/cycles/{query}/archives/{name}",
        "an archive to download, by its name in that list or by the file's own",
        Answer::Other("application/octet-stream"),
        |ask| Box::pin(api::cycles::archive(ask)),
    ),
    get(
        "/api/v1/ledger",
        "where every record went, by query, and their sum",
        Answer::Json("Ledgers"),
        |ask| Box::pin(api::ledger::ledger(ask)),
    ),
    Route {
        patience: Patience::Statement,
        parameters: &[required("q", 12_000, "The SELECT, SHOW or DESCRIBE."), ROWS],
        ..get(
            "/api/v1/sql",
            "the rows of one SELECT, SHOW or DESCRIBE over sources, views and tables",
            Answer::Json("Rows"),
            |ask| Box::pin(api::sql::get(ask)),
        )
    },
    Route {
        patience: Patience::Statement,
        ..post(
            "/api/v1/sql",
            Role::Viewer,
            "the same, for longer texts",
            Some("Statement"),
            Answer::Json("Rows"),
            |ask| Box::pin(api::sql::post(ask)),
        )
    },
    get(
        "/api/v1/channels",
        "who is told of alerts, what they took and refused, and which cannot be reached",
        Answer::Json("Channels"),
        |ask| Box::pin(api::channels::list(ask)),
    ),
    get(
        "/api/v1/gateways",
        "the ways by which devices push, and what they counted",
        Answer::Json("Gateways"),
        |ask| Box::pin(api::gateways::list(ask)),
    ),
    Route {
        // A form of another page is refused by its origin, and there is nothing here that a session alone would open.
        changes: false,
        patience: Patience::Ingest,
        ..post(
            "/api/v1/ingest/{gateway}/{*topic}",
            Role::Operator,
            "takes messages of a topic for an HTTP gateway: answered once the log has all of them, each with its place",
            Some("Message"),
            Answer::Accepted("Ingested"),
            |ask| Box::pin(api::ingest::post(ask)),
        )
    },
    Route {
        patience: Patience::Endless,
        parameters: &[
            SOURCE,
            SEARCH,
            STATE,
            WHERE,
            SORT,
            integer("offset", 0, 1_000_000, 0, "The first device that is seen."),
            integer("limit", 1, 200, 30, "How many devices are seen."),
            FIELDS,
            texts(
                "keys",
                16_000,
                2,
                "Keys that the charts show beside all devices, with commas between them.",
            ),
            texts("key", NAME, MOST_KEYS, "One such key, whatever is in it; may be given several times."),
            text("field", "The field of the sparklines."),
        ],
        ..get(
            "/api/v1/live",
            "what a person sees, as it changes: server-sent events",
            Answer::Other("text/event-stream"),
            |ask| Box::pin(live::live(ask)),
        )
    },
];

/// The router of a listener's routes.
pub(crate) fn router(stage: &Stage, terms: &Arc<Terms>, part: Part) -> Router {
    let mut router = Router::new();
    for route in ROUTES.iter().filter(|route| part.has(route)) {
        let (stage, terms) = (stage.clone(), Arc::clone(terms));
        let serve = move |request: Request| admit::serve(route, stage.now(), Arc::clone(&terms), request);
        let verb = match route.verb {
            Verb::Get => MethodFilter::GET,
            Verb::Post => MethodFilter::POST,
            Verb::Delete => MethodFilter::DELETE,
        };
        router = router.route(route.path, on(verb, serve.clone()));
        if route.path == "/api/v1" {
            router = router.route("/api/v1/", on(verb, serve));
        }
    }
    match part {
        Part::Monitor => router,
        Part::All | Part::WithoutMonitor => with_sockets(router, stage, terms),
    }
}

/// WebSockets, which no document of REST can describe; they stand in docs/http-ingest.md.
fn with_sockets(router: Router, stage: &Stage, terms: &Arc<Terms>) -> Router {
    let (of_mqtt, of_messages) = ((stage.clone(), Arc::clone(terms)), (stage.clone(), Arc::clone(terms)));
    let mqtt = move |request: Request| web_socket::mqtt(of_mqtt.0.now(), Arc::clone(&of_mqtt.1), request);
    let messages = move |path: Path<(String, String)>, request: Request| {
        web_socket::messages(of_messages.0.now(), Arc::clone(&of_messages.1), path.0, request)
    };
    router
        .route("/mqtt", on(MethodFilter::GET, mqtt))
        .route("/api/v1/ingest/{gateway}/{*topic}", on(MethodFilter::GET, messages))
}
