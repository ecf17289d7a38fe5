//! Wills: what is published for a client that went without taking leave.
//!
//! A will goes the way of every message: access (asked when the client connected and again now), routes, log, then subscribers. Nobody
//! waits for it, so where the log cannot say whether it has it, a will of QoS 1 or 2 is sent to it again for a while.

use std::sync::Arc;
use std::time::Duration;

use mqtt_proto::{Pid, QoS, QosPid, v5};

use super::broker::Broker;
use super::counters::add;
use super::intake::{self, Judged, Verdict};
use super::refusals;
use super::session::Session;
use super::wire::Will;

/// How often a will is offered to a log that does not take it, a second apart, then ever longer.
const ATTEMPTS: u32 = 8;

pub(super) fn as_publish(will: Will) -> v5::Publish {
    let qos_pid = match will.qos {
        QoS::Level0 => QosPid::Level0,
        QoS::Level1 => QosPid::Level1(Pid::default()),
        QoS::Level2 => QosPid::Level2(Pid::default()),
    };
    v5::Publish {
        dup: false,
        retain: will.retain,
        qos_pid,
        topic_name: will.topic,
        payload: will.payload,
        properties: will.properties,
    }
}

/// Publishes the will of a client, if there is one.
pub(super) fn publish(broker: &Broker, session: &Arc<Session>, will: Option<Will>) {
    let (Some(will), Some(broker)) = (will, broker.handle()) else { return };
    let session = session.clone();
    tokio::spawn(async move {
        add(&broker.counters.wills, 1);
        let attempts = if will.qos == QoS::Level0 { 1 } else { ATTEMPTS };
        for attempt in 0..attempts {
            let Judged { records, verdict, publication, .. } =
                intake::judge(&broker, &session.who, &session.client, as_publish(will.clone()), broker.now());
            let mut outcome = verdict;
            for delivery in if records.is_empty() { Vec::new() } else { broker.log.submit(records).await } {
                outcome.join(delivery.await);
            }
            match outcome {
                Verdict::Taken => {
                    if let Some(publication) = publication {
                        broker.spread(&publication);
                    }
                    return;
                }
                Verdict::Refused(reason, why) => {
                    refusals::tell(&broker, &session, "a will", &will.topic, (reason, &why));
                    return;
                }
                Verdict::Unknown(why) => {
                    tracing::warn!(gateway = %broker.options.name, client = %session.client, why, attempt, "a will is not known to be in the log");
                    tokio::time::sleep(Duration::from_secs(1 << attempt)).await;
                }
            }
        }
        add(&broker.counters.publishes_dropped, 1);
    });
}
