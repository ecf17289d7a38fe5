//! The keys of `gateways`: ways by which devices push.

use super::{Section, key, required};

/// `gateways: NAME:`
pub static GATEWAY: Section = Section {
    path: "`gateways.NAME`",
    doc: "A way by which devices push, and where in the log their messages go. A device is told that a message is taken only \
          once the log has it, fsynced; a log that is slow or away slows devices.",
    keys: &[
        required("format", "name of a gateway", "What devices speak."),
        key(
            "options",
            "mapping",
            None,
            "The options of the gateway and, with the prefix `kafka.`, those of the client that writes to the log; without \
             `kafka.bootstrap.servers` they are those of the file's sources.",
        ),
        required(
            "routes",
            "mapping of topic patterns",
            "Which messages go where. The first that takes a topic counts; a message that none takes is refused, unless the \
             last is `\"#\"`.",
        ),
        key(
            "users",
            "mapping of users",
            Some("whoever reaches the listener, which is this machine alone"),
            "Who may connect, and which topics are theirs.",
        ),
    ],
};

/// `gateways: NAME: routes: PATTERN:`
pub static ROUTE: Section = Section {
    path: "`gateways.NAME.routes.PATTERN`",
    doc: "What becomes of the messages of a topic. A pattern is MQTT's: levels with `/` between them, `+` or `{name}` for any \
          one level, `#` at the end for all that follows. The payload goes on as it came, byte by byte, unless `as`, \
          `fields` or `receivedAt` say otherwise; what then is not of the kind that is said goes on as it came, and whoever \
          decodes it sets it aside. In `key`, `headers` and `fields` stand for parts of a message: `{name}` or `{1}` a level, \
          `{topic}` the topic, `{from}` who sent it, `{$.a.b}` a field of a JSON payload; `{{` and `}}` are braces.",
    keys: &[
        key("topic", "text", None, "The topic of the log. It is made if it is not there."),
        key(
            "drop",
            "`true`",
            None,
            "Such messages are taken and go nowhere; they are counted. In place of `topic`.",
        ),
        key("key", "text", None, "The record's key; none if a field that it names is not there."),
        key(
            "value",
            "`json`, `number`, `text`, `binary` or `sparkplug`",
            Some("json"),
            "What the payload is: JSON, a number such as `21.5`, text, any bytes, or Sparkplug B, of which each metric becomes a JSON object \
             (`docs/mqtt.md` names its fields).",
        ),
        key(
            "as",
            "text",
            None,
            "The name under which a payload that is no JSON becomes a field of a JSON object: a number as a number, text as a \
             string, bytes as Base64.",
        ),
        key(
            "fields",
            "mapping",
            None,
            "Fields that are put at the beginning of the JSON object, as strings, by their names. A message that has one of that \
             name is refused.",
        ),
        key(
            "receivedAt",
            "text",
            None,
            "The name of a field for when the message was taken, in milliseconds since 1970; the record's own timestamp says \
             the same.",
        ),
        key("headers", "mapping", None, "Headers of the record, by their names."),
        key(
            "properties",
            "`true` or `false`",
            Some("false"),
            "MQTT 5's user properties become headers, before those of `headers`.",
        ),
        key(
            "rebirth",
            "`true` or `false`",
            Some("false"),
            "With `value: sparkplug`: a node whose births were missed, or whose messages have a gap, is asked for its births.",
        ),
    ],
};

/// `gateways: NAME: users: USER:`
pub static USER: Section = Section {
    path: "`gateways.NAME.users.USER`",
    doc: "Somebody who may connect. An MQTT client shows the name and the token as user and password, an HTTP client the token \
          in the header `Authorization: Bearer …`. In the filters a level `%u` stands for the name of the user, `%c` for the \
          client id.",
    keys: &[
        key(
            "sha256",
            "64 hexadecimal digits",
            None,
            "The hash of the token, as `forebay token device` prints it. The token itself never stands in the file.",
        ),
        key(
            "certificate",
            "text",
            None,
            "The common name of a client certificate that stands for the token, where the gateway asks for certificates.",
        ),
        key(
            "publish",
            "list of topic filters",
            None,
            "Topic filters, as MQTT's, in which the user may publish; none without it.",
        ),
        key(
            "subscribe",
            "list of topic filters",
            None,
            "Topic filters in which the user may subscribe; none without it.",
        ),
    ],
};
