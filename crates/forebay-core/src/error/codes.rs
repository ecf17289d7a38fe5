//! The table of error codes. 1 the file, 2 sources, 3 records, 4 queries, 5 sinks, 6 checkpoints, 7 the log,
//! 8 serving, 9 Forebay itself. A code, once released, keeps its meaning.

use super::{Code, Fault};

macro_rules! codes {
    ($($name:ident = $id:literal, $fault:ident, retry $retry:literal, $title:literal, $meaning:literal, $remedy:literal;)*) => {
        $(
            #[doc = $meaning]
            pub static $name: Code = Code {
                id: $id, title: $title, fault: Fault::$fault, retry: $retry, meaning: $meaning, remedy: $remedy,
            };
        )*
        /// Every code, in the order of its number.
        pub static ALL: &[&Code] = &[$(&$name),*];
    };
}

codes! {
    FILE_UNREADABLE = "FB-1001", User, retry false, "file unreadable",
        "A file or folder, such as the pipeline file, does not exist or cannot be read.", "Check the path and its permissions.";
    YAML = "FB-1002", User, retry false, "not valid YAML",
        "The pipeline file is not valid YAML.", "Look at the marked place: indentation and quotes are the usual causes.";
    UNKNOWN_KEY = "FB-1003", User, retry false, "unknown key",
        "The file holds a key or option that nobody reads; nothing is silently ignored.", "Use one of the listed names.";
    MISSING_KEY = "FB-1004", User, retry false, "missing key",
        "A key or option that is needed is not there.", "Add it; the reference names its type and an example.";
    BAD_VALUE = "FB-1005", User, retry false, "bad value",
        "A value is not of the kind its key asks for.", "Write a value of the kind that is named.";
    BAD_SCHEMA = "FB-1006", User, retry false, "bad schema",
        "A schema is not a valid Spark DDL string.", "Write `name TYPE, name TYPE NOT NULL`, for example `id STRING, at TIMESTAMP`.";
    UNKNOWN_FORMAT = "FB-1007", User, retry false, "unknown format",
        "No connector has this name.", "Use one of the listed formats.";
    NOT_YET = "FB-1008", User, retry false, "not supported yet",
        "Spark has this; Forebay does not have it yet and says so rather than doing something else.", "Leave it out, or say it another way; `forebay validate FILE` checks a file without running it. Over tables `forebay query` can do more than a stream.";
    WRONG_USE = "FB-1009", User, retry false, "wrong use",
        "The command or its arguments do not fit together.", "`forebay COMMAND --help` shows what a command takes, with examples.";
    SECRET = "FB-1010", User, retry false, "secret unavailable",
        "A secret could not be read from the environment or its file.", "Set the variable or create the file; secrets never stand in the pipeline file itself.";
    NOT_WHILE_RUNNING = "FB-1011", User, retry false, "change that needs a restart",
        "The file was read again and holds a change that cannot be made while the pipeline runs; the pipeline goes on as it was.",
        "Read the reasons that are told with it. Where the start alone can make the change, undo it, or stop the run and start it again; `forebay plan FILE` says what the start would do. Where a start would be refused too, leave the run as it is and do what the reason's own hint says.";
    NOT_IN_SPARK = "FB-1012", User, retry false, "no counterpart in Spark",
        "The pipeline has something that a Spark job cannot do, and a job without it would be another pipeline: detectors.",
        "Take `detectors` and what reads them to a file of its own; `forebay spark` makes a job of the rest.";

    SOURCE_UNAVAILABLE = "FB-2001", External, retry true, "source unavailable",
        "The source does not answer.", "Check that the broker runs and that its address is right. A running query keeps trying by itself.";
    SOURCE_REFUSED = "FB-2002", External, retry false, "source refused",
        "The source answered with a refusal that trying again will not change.", "Read the broker's words in the detail.";
    DATA_LOSS = "FB-2003", External, retry false, "records are gone",
        "Records between the last committed position and the oldest that the source still has are gone (retention), or the topic was deleted and made anew: it has the old one's name, but other records.",
        "Set `failOnDataLoss: false` to go on with what is there, a topic made anew from its beginning; or restore the topic.";
    BAD_BATCH = "FB-2004", External, retry false, "damaged record batch",
        "A record batch fails its checksum or breaks the format.", "The log or the way to it damages data; look at the broker's disk.";
    SOURCE_AUTH = "FB-2005", External, retry true, "source authentication failed",
        "The broker did not accept the credentials or its certificate could not be verified.", "Check the `kafka.security.protocol`, `kafka.sasl.*` and `kafka.ssl.*` options, and what the user may do there.";
    NO_TOPIC = "FB-2006", External, retry true, "no such topic",
        "A topic that the source names is not there.",
        "Correct its name, or create it; `forebay log topics` lists those that are there. A query that runs for ever keeps looking, one that ends by itself gives up after six seconds.";

    TABLE_UNREADABLE = "FB-2007", External, retry true, "table unreadable",
        "A table that streams are joined with is not there, cannot be read, is being written, or holds what does not fit its columns. A query that runs goes on with the last version that was good.",
        "Mend what the message names; the version read before is used by a query that runs until then. Write a file under another name and rename it into its place, so that nobody sees half of it.";
    TABLE_TOO_LARGE = "FB-2008", User, retry false, "table too large",
        "The rows of a table that streams are joined with take more memory than its `maxMemory`. A query that runs goes on with the last version that fitted.",
        "Raise `tables.NAME.maxMemory`, or keep less in the table: fewer columns, fewer rows.";

    NO_ROUTE = "FB-2009", User, retry false, "no route for the topic",
        "A device sent a message of a topic that no route of the gateway takes. It was refused, as far as the device's protocol can say so, and counted.",
        "Add a route for the topic under `gateways.NAME.routes`; `\"#\": { topic: stray }` as the last one takes whatever is left, `drop: true` lets it go.";
    MESSAGE_REFUSED = "FB-2010", User, retry false, "message refused",
        "A message cannot be made into a record: the route adds a field that its payload has already, it is larger than the gateway or the log takes, or its sender may not publish to its topic.",
        "Read the message: it says which of these.";
    DEVICE_LINE = "FB-2011", External, retry true, "serial line unavailable",
        "The serial port cannot be opened or was unplugged.", "Check the cable, the path and that this user may open it (group `dialout`). The gateway keeps trying by itself.";
    GATEWAY_AWAY = "FB-2012", External, retry true, "broker unavailable",
        "The broker from which a gateway takes messages cannot be reached, does not answer, or closed the connection. It keeps messages with QoS 1 and 2 for the session meanwhile.",
        "Check that the broker runs and that the option `server` is right. The gateway keeps trying by itself.";
    GATEWAY_REFUSED = "FB-2013", External, retry true, "broker refused",
        "The broker from which a gateway takes messages does not let it in, does not let it subscribe, or sent it away.",
        "Read the message: it says which of these. The gateway keeps trying by itself.";

    DECODE_FAILFAST = "FB-3001", User, retry false, "record not decodable",
        "A record could not be decoded and the mode is FAILFAST.", "Mend the record or its producer, or use the mode `quarantine`, which sets such records aside.";
    QUARANTINE_FULL = "FB-3002", User, retry true, "quarantine full",
        "The quarantine has reached its bound and its policy is to stop.", "Look at `forebay quarantine ls`, then drop what is not needed, or raise `quarantine.maxBytes`.";
    QUARANTINE_NOT_FOUND = "FB-3003", User, retry false, "no such quarantined record",
        "No record in the quarantine has this identifier.", "List them with `forebay quarantine ls`.";

    EXPECTATION_FAILED = "FB-3004", User, retry false, "a row failed an expectation",
        "A row of a source failed an expectation whose `onFail` is `fail`; nothing of its epoch was written.", "Mend the record or what sends it, or give the expectation another `onFail`: `quarantine` sets such records aside.";

    SQL_SYNTAX = "FB-4001", User, retry false, "SQL syntax",
        "The SQL text cannot be parsed.", "Forebay speaks Spark's dialect.";
    SQL_PLAN = "FB-4002", User, retry false, "SQL cannot be planned",
        "The SQL text names a table, column or function that does not exist, or types do not fit.", "Compare names and types with the schema of the source; `CAST(… AS TYPE)` changes a type.";
    NOT_STREAMING = "FB-4003", User, retry false, "not possible over a stream yet",
        "The query needs an operator that has no incremental form here yet; running it once per epoch would give wrong answers.",
        "Write the rows to a table and ask it with `forebay query`.";
    QUERY_FAILED = "FB-4004", User, retry false, "query failed on a row",
        "An expression of the query failed while it was computed.", "Guard the expression, for example with `try_cast` or `CASE WHEN`.";
    QUERY_LIMIT = "FB-4005", User, retry false, "query over its limit",
        "The query took more time, memory or rows than it is allowed.", "Ask for less with WHERE or LIMIT, or raise the limit.";
    STATE_LIMIT = "FB-4006", User, retry false, "state over its limit",
        "What a query has to remember (open windows, keys, rows that wait for others) takes more memory than its `stateLimit`. The query ended before the epoch that went beyond it; its checkpoint is whole, and nothing was dropped.",
        "Raise `queries.NAME.stateLimit` and start again: it goes on where it was. For less from then on, shorten the `delay` of the watermark or the `within` of the `deduplicate`. What remembers for ever (no window or event time among the keys, no `within`) needs one; that, shorter windows and fewer keys are another state: give the query a new name with them.";
    OUTPUT_MODE = "FB-4007", User, retry false, "output mode not possible",
        "The query's operators, or its sink, cannot give rows in this output mode.",
        "Choose another `outputMode`. `append` writes only what is final, so aggregates need a watermark; `update` writes what changed, and the sink must find rows by their keys; `complete` writes the whole result of an aggregate.";
    WATERMARK_MISSING = "FB-4008", User, retry false, "watermark missing",
        "The query needs to know when a time is over, and no watermark tells it: without one its rows would never be final, or it would remember them for ever.",
        "Give the source a `watermark: { column: at, delay: 10 seconds }`, or write `FROM iot WATERMARK at DELAY OF INTERVAL 10 SECONDS`, and group or join by that column or a window of it.";

    SINK_UNAVAILABLE = "FB-5001", External, retry true, "sink unavailable",
        "The sink does not answer or its storage refuses; nothing is dropped meanwhile.",
        "Start what the sink writes to, or mend its address and rights in the sink's options. A running query keeps trying by itself.";
    SINK_SCHEMA = "FB-5002", User, retry false, "schema does not fit the table",
        "The query's columns do not fit the table that exists.", "Change the query (a CAST, an alias) or write to another table. Columns that only the query has are added with `mergeSchema: true`.";
    SINK_CONFLICT = "FB-5003", External, retry true, "concurrent change of the table",
        "Another writer changed the table in a way that this commit cannot pass.", "Forebay tries again on the newest version.";
    SINK_UNSUPPORTED = "FB-5004", User, retry false, "table feature not supported",
        "The table needs a feature that this writer does not have.", "Remove the table feature, or write to another table.";
    STORAGE = "FB-5005", External, retry false, "storage failed",
        "The disk refused a write or an fsync. After a failed fsync nothing is known about what reached the disk, so Forebay stops instead of guessing.",
        "Mend the disk or make room, then start again: it goes on where it was.";
    STALE_CHANGE = "FB-5006", External, retry false, "change of files that were replaced",
        "Another engine committed a change to files that a compaction had replaced already, and did not notice: their rows are in the table twice, or rows that it deleted or changed are still there. Forebay goes on, and tells it once for each such version.",
        "See \"One optimiser for each table\" in docs/delivery-guarantees.md.";

    SINK_ROWS_REFUSED = "FB-5007", External, retry true, "rows refused",
        "The system behind the sink refused a row of an epoch, and with it the whole epoch.", "Nothing needs to be done: the epoch is written again piece by piece, and the rows that are refused go to the quarantine with the system's words (`forebay quarantine ls`).";
    SINK_REFUSED = "FB-5008", External, retry false, "refused by the sink",
        "The sink refused a row or a request, and will refuse it again. Nothing of the epoch is in it.",
        "Read the sink's own words in the detail, mend what they say, then start again: the query goes on with the same epoch.";
    TRANSACTION_LOST = "FB-5009", External, retry true, "transaction lost",
        "The broker ended the transaction of an epoch before it was committed: it was open for longer than `kafka.transaction.timeout.ms`, the broker lost track of it, or a newer process took over. Nothing of it is visible.",
        "Forebay writes the epoch again, or says who took over. If it comes back each time, the epoch takes too long: raise `kafka.transaction.timeout.ms` (brokers allow 15 minutes by default, `transaction.max.timeout.ms`), or give the source `maxOffsetsPerTrigger`.";
    SINK_FENCED = "FB-5010", External, retry false, "another process took over",
        "Another process opened the sink of this query after this one did. The broker takes nothing more from the older of the two, so no row is doubled.",
        "One of the two is too many: it runs on a copy of the checkpoint, or this one stood still while another was started in its place. Stop the wrong one; if that was the other, start this one again.";

    SINK_IN_USE = "FB-5020", User, retry false, "folder in use",
        "Another query, of this process or of another, writes to the folder of a file sink.", "Give each query a `path` of its own.";
    SINK_MANIFEST = "FB-5021", External, retry false, "manifest damaged",
        "The manifest of a folder of files fails its checksums or has a hole: which files are there by right is not known.",
        "Restore the folder `_forebay` in it from a copy. Or begin a new folder: give the query another `path` and another `checkpointLocation`.";
    CYCLE = "FB-5022", External, retry false, "cycle stopped",
        "What a cycle needs for its archive is not as it left it: a file of its output is gone or altered, or its manifest is damaged. Nothing was removed.",
        "Read the detail. Put back what is missing from a copy, then start again: the cycle goes on at the step where it was.";

    CHECKPOINT_LOCKED = "FB-6001", User, retry false, "checkpoint in use",
        "Another process runs on this checkpoint.", "Stop the other process. If it runs another query, each of the two needs a `checkpointLocation` of its own.";
    CHECKPOINT_OTHER_QUERY = "FB-6002", User, retry false, "checkpoint of another query",
        "The checkpoint was written by a query that differs in what must not differ.", "Undo the change and the query goes on. With a new name or `checkpointLocation` it is a new query, which begins where the source's starting options say: rows can come twice into a sink that has them, or be left out.";
    CHECKPOINT_DAMAGED = "FB-6003", External, retry false, "checkpoint damaged",
        "A file of the checkpoint fails its checksum or has a hole.", "Restore it from a copy. Do not delete it: that would write rows again.";
    CHECKPOINT_VERSION = "FB-6004", User, retry false, "checkpoint of another version",
        "The checkpoint was written by a newer Forebay.", "Use that version, or a newer one.";
    CHECKPOINT_NOT_FOUND = "FB-6005", User, retry false, "no checkpoint",
        "There is no checkpoint in the folder: the query has not run yet, or it keeps its checkpoint elsewhere.",
        "Run the pipeline once, or give the `--data` or the folder that it ran with.";
    SINK_BEHIND = "FB-6006", User, retry false, "sink older than its checkpoint",
        "The sink does not have an epoch that the checkpoint counts as written: it was removed, made anew, or is an older copy. Going on would leave its rows out without a word.",
        "Bring the sink back as it was. To write everything that the source still has into a new one, remove both sink and checkpoint, or give the query a new `checkpointLocation` with `startingOffsets: earliest`; to leave out what is gone, the same with `latest`.";

    STATE_DAMAGED = "FB-6007", External, retry false, "state damaged",
        "The state of a query fails its checksums: neither its newest snapshot nor the one before it can be read up to the last committed epoch. One damaged snapshot alone is passed over.",
        "Restore the whole folder of the checkpoint from a copy. Without one, give the query a new `checkpointLocation`: it begins anew, where the source's starting options say.";
    STATE_CHANGED = "FB-6008", User, retry false, "state of a query that was different",
        "The query was changed in a way that what it remembers does not fit: other keys, aggregates, windows or columns, or another number of such operators. Spark refuses some such changes, and goes on after others with numbers that mean something else.",
        "Undo the change and the query goes on. Filters, columns that are only computed and names of the output may change, as far as the sink takes them: a Delta table keeps its columns (FB-5002). With a new name or `checkpointLocation` it is a new query, which begins where the source's starting options say.";

    LOG_LOCKED = "FB-7001", User, retry false, "log in use",
        "Another process has this log open.", "Stop it, or give another `--data`.";
    LOG_FAILED = "FB-7002", External, retry false, "log failed",
        "The embedded log cannot be opened or written.", "Read the detail: disk full, permissions or a damaged file.";
    ADDRESS = "FB-7003", User, retry false, "address unavailable",
        "The address cannot be listened on: it is taken, or others can reach it and the HTTP server has no tokens or no TLS, or the embedded log no users or no TLS.", "Another program listens there: stop it, or choose another address, for the log with `--kafka` (and in the source's `kafka.bootstrap.servers`), for REST and metrics with `--http`. For others than this machine give `--auth`, for the log `--kafka-users`, and `--tls-cert` and `--tls-key` (docs/security.md).";

    HTTP = "FB-8001", User, retry false, "request refused",
        "The HTTP request is not one that can be served: a path, a parameter, a header or a body that is not as the description of the server says.",
        "Mend what the message names. `GET /api/v1/openapi.json` describes each path, what it takes and what it answers.";
    NO_RESOURCE = "FB-8002", User, retry false, "no such resource",
        "Nothing of this name is served: the path, or the query, device, source or field that it names, is not there.", "`GET /api/v1` lists the paths; `GET /api/v1/schema` names sources, fields and queries.";
    DENIED = "FB-8003", User, retry false, "request denied",
        "The request comes from where nobody may ask, lacks what shows that its sender means it, or asks for more than the role of its sender may do.",
        "Address the server by its loopback name, where it listens there. What is sent (POST, DELETE) needs an `Origin` that is the server's own, or none where there is no session; what changes something needs the header `X-Forebay: 1` too; with a token in the header `Authorization` neither. `GET /api/v1/openapi.json` names the role that each route needs.";
    BUSY = "FB-8004", User, retry false, "server busy",
        "As many requests of this kind are being served as may be at once, as many as one token may have, or too many wrong tokens came from one address.", "Try again after a moment, or close pages and programs that ask.";
    CONFLICT = "FB-8005", User, retry false, "not possible now",
        "What is asked for does not fit the state that the query is in.", "Look at the state of the query, then ask again.";
    TOO_LARGE = "FB-8006", User, retry false, "request too large",
        "The body of a request is larger, or has more messages, than the server or its gateway takes, or its path is too long. Nothing of it was taken.",
        "Send less at a time. What a gateway takes say its `maxBody` and `maxMessages`.";
    BODY_KIND = "FB-8007", User, retry false, "body of another kind",
        "The server does not take a body of this `Content-Type`, or cannot unpack this `Content-Encoding`.",
        "Send one that the message names.";
    NO_SERVER = "FB-8008", External, retry true, "no server answers",
        "The server that was asked does not answer, or stopped answering.", "Check that a pipeline runs there and that the address is that of its `--http`. `forebay top` keeps asking by itself.";
    TOO_SLOW = "FB-8009", External, retry false, "request took too long",
        "The body of a request did not arrive in time, or its answer was not ready in time. What it asked for may have been done all the same.",
        "Send it again, a post of messages with the same `Idempotency-Key`. If it comes again and again, look at what the server waits for: `GET /health`.";

    SIGN_IN = "FB-8010", User, retry false, "sign-in needed",
        "The server asks who you are (`--auth`), and the request carries no token that counts: none, an unknown one, one that was revoked or has expired, or a session that has ended.",
        "Send `Authorization: Bearer TOKEN`, or sign in on the page. Whoever runs Forebay makes tokens with `forebay token new`.";
    TOKENS = "FB-8011", User, retry false, "file of tokens unusable",
        "The file of `--auth` or `--kafka-users` cannot be read, or others than its owner may write to it: who can write to it can let anybody in.",
        "`forebay token new --auth FILE` makes the file and adds to it; `forebay token ls --auth FILE` checks it; `forebay token kafka --users FILE` is for users of the log. `chmod 600 FILE` leaves it to its owner.";
    TLS = "FB-8012", User, retry false, "certificate or key unusable",
        "The server's certificate or its private key cannot be used: a file is missing, holds something else, is open to everybody, or the two do not belong together.",
        "`--tls-cert` names a PEM file with the server's certificate and those between it and its authority, `--tls-key` the PEM file of its private key.";
    KEY_UNDER_WAY = "FB-8013", User, retry false, "idempotency key under way",
        "A post with this `Idempotency-Key` is being taken; its outcome is not known yet.",
        "Send it again in a moment: it is then answered with what became of the first.";
    KEY_OF_OTHER = "FB-8014", User, retry false, "idempotency key of another post",
        "This `Idempotency-Key` was used before, for another body, topic or `Content-Type`. Nothing was taken.",
        "A key stands for one post: take a new one for each.";

    INTERNAL = "FB-9001", Internal, retry false, "internal error",
        "Forebay broke one of its own rules.", "Please report it with the log around this line.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_in_order() {
        assert!(ALL.is_sorted_by(|a, b| a.id < b.id));
    }
}
