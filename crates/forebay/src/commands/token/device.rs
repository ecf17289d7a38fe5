//! `forebay token device`: a user of a gateway, for a device, its token printed once.
//!
//! The users of a gateway stand in the pipeline's file, which people lay out as they like, so the entry is printed and not put there.

use std::process::ExitCode;

use forebay_server::NewToken;

use crate::cli::DeviceArgs;
use crate::talk;

pub fn new(args: &DeviceArgs) -> anyhow::Result<ExitCode> {
    let token = NewToken::random()?;
    talk::say(&format!("The entry below `users:` of the gateway:\n  {}", entry(args, &token.sha256())));
    if args.publish.is_empty() && args.subscribe.is_empty() {
        talk::say("It may neither publish nor subscribe until `publish` or `subscribe` says what.");
    }
    talk::say(
        "The token is shown this once. MQTT clients show it as password, with the name as user; HTTP clients in the header `Authorization: Bearer …`.",
    );
    talk::print(&format!("{}\n", token.reveal()))?;
    Ok(ExitCode::SUCCESS)
}

/// The line of a user, as it stands in the file.
fn entry(DeviceArgs { name, publish, subscribe }: &DeviceArgs, sha256: &str) -> String {
    let mut keys = vec![format!("sha256: {sha256}")];
    for (key, filters) in [("publish", publish), ("subscribe", subscribe)] {
        if !filters.is_empty() {
            // JSON's texts are YAML's.
            let filters: Vec<String> =
                filters.iter().map(|filter| serde_json::json!(filter).to_string()).collect();
            keys.push(format!("{key}: [{}]", filters.join(", ")));
        }
    }
    format!("{name}: {{ {} }}", keys.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load;

    #[test]
    fn the_entry_is_one_that_a_gateway_takes() {
        let args = DeviceArgs {
            name: "uno-1".to_owned(),
            publish: vec!["plant/%u/#".to_owned(), "a \"b\"/+".to_owned()],
            subscribe: vec!["plant/#".to_owned()],
        };
        let entry = entry(&args, &"ab".repeat(32));
        let text = format!(
            "pipeline: p\ngateways:\n  g:\n    format: http\n    routes: {{ '#': {{ topic: t }} }}\n    users:\n      {entry}\nsources:\n  s:\n    format: kafka\n\
             \x20   options: {{ kafka.bootstrap.servers: 'a:1', subscribe: t }}\nqueries:\n  q: {{ sql: SELECT value FROM s, format: console }}\n"
        );
        let loaded = load::load(&text, "p.yaml", None).unwrap_or_else(|problems| panic!("{problems:?}"));
        let users = loaded.pipeline.gateways[0].users.as_ref().unwrap();
        assert_eq!((users[0].name.as_str(), users[0].sha256), ("uno-1", Some([0xab; 32])));
        assert_eq!((&users[0].publish, &users[0].subscribe), (&args.publish, &args.subscribe));
    }
}
