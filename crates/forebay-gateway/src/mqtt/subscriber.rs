//! The subscriber's side of a connection: its filters, and what is sent to it.

use mqtt_proto::{TopicFilter, v5};
use tokio::io::{AsyncRead, AsyncWrite};

use super::broker::split;
use super::connection::Connection;
use super::counters::{add, less};
use super::options::Retained;
use super::outbox::{CatchUp, Queued, Sent};
use super::refusals;
use super::session::State;
use super::tree::Wish;
use super::wire::{Violation, code};

/// Retained messages that are fetched at a time.
const PAGE: usize = 64;

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) fn subscribe(
        &mut self,
        pid: u16,
        id: Option<u32>,
        filters: Vec<(TopicFilter, v5::SubscriptionOptions)>,
    ) -> Result<(), Violation> {
        if filters.iter().any(|(filter, wish)| filter.is_shared() && wish.no_local) {
            return Err(Violation::new(code::PROTOCOL, "no local on a shared subscription"));
        }
        let mut codes = Vec::with_capacity(filters.len());
        for (filter, wish) in filters {
            let code = self.subscribe_one(id, &filter, wish);
            let why = match code {
                code::NOT_AUTHORIZED => Some("not allowed to subscribe to this filter"),
                code::FILTER_INVALID => Some("a filter that is empty or too deep"),
                code::QUOTA => Some("too many subscriptions"),
                _ => None,
            };
            if let Some(why) = why {
                refusals::tell(&self.broker, &self.session, "a subscription", &filter, (code, why));
            }
            codes.push(code);
        }
        self.wire.suback(&mut self.stream.output, pid, &codes);
        Ok(())
    }

    /// Answers the reason code of one filter.
    fn subscribe_one(&mut self, id: Option<u32>, filter: &TopicFilter, wish: v5::SubscriptionOptions) -> u8 {
        let (group, plain) = split(filter);
        let options = &self.broker.options;
        if plain.is_empty() || plain.split('/').count() > options.topic_levels {
            return code::FILTER_INVALID;
        }
        if !self.broker.access.may_subscribe(&self.who, &self.session.client, plain) {
            return code::NOT_AUTHORIZED;
        }
        let mut state = self.session.state();
        if state.filters.len() >= options.max_subscriptions && !state.filters.contains(filter) {
            return code::QUOTA;
        }
        state.filters.insert(filter.clone());
        let kept = Wish {
            qos: wish.max_qos,
            no_local: wish.no_local,
            retain_as_published: wish.retain_as_published,
            id,
        };
        let new = self.broker.tree.write().insert(group, plain, &self.session, kept);
        let wants_retained = match wish.retain_handling {
            v5::RetainHandling::SendAtSubscribe => true,
            v5::RetainHandling::SendAtSubscribeIfNotExist => new,
            v5::RetainHandling::DoNotSend => false,
        };
        // A filter may come again while its retained messages are being fetched: they begin anew, and are not fetched twice.
        if wants_retained && group.is_none() && options.retained == Retained::State {
            state.outbox.catch_up.retain(|one| one.filter != plain);
            state.outbox.catch_up.push_back(CatchUp {
                filter: plain.to_owned(),
                qos: wish.max_qos,
                id,
                after: None,
            });
        }
        wish.max_qos as u8
    }

    pub(super) fn unsubscribe(&mut self, pid: u16, filters: &[TopicFilter]) {
        let mut state = self.session.state();
        let mut there = Vec::with_capacity(filters.len());
        for filter in filters {
            let (group, plain) = split(filter);
            state.outbox.catch_up.retain(|one| group.is_some() || one.filter != plain);
            let was = state.filters.remove(filter);
            if was {
                self.broker.tree.write().remove(group, plain, &self.session.client);
            }
            there.push(was);
        }
        drop(state);
        self.wire.unsuback(&mut self.stream.output, pid, &there);
    }

    /// Puts what waits for the client into the buffer, as far as it goes.
    pub(super) fn pump(&mut self, state: &mut State) {
        let now = self.broker.now();
        let out = &mut self.stream.output;
        let sent = state.outbox.write(&self.wire, out, now);
        self.count(sent);
        while state.outbox.has_room(&self.stream.output) {
            let Some(mut next) = state.outbox.catch_up.pop_front() else { return };
            let page = self.broker.retained.lock().page(&next.filter, next.after.as_deref(), PAGE, now);
            let mut messages = page.messages.into_iter();
            next.after = page.next;
            for publication in messages.by_ref() {
                let last = std::sync::Arc::<str>::from(&*publication.topic);
                let queued =
                    Queued { qos: next.qos.min(publication.qos), publication, retain: true, id: next.id };
                let size = queued.publication.size();
                add(&self.broker.counters.queued_bytes_now, size);
                let sent = state.outbox.write_now(&self.wire, &mut self.stream.output, now, queued);
                self.count(sent);
                if !state.outbox.has_room(&self.stream.output) {
                    // The rest of this page is fetched again when the client has read.
                    next.after = Some(last);
                    break;
                }
            }
            if next.after.is_some() {
                state.outbox.catch_up.push_front(next);
            }
        }
    }

    fn count(&self, sent: Sent) {
        let counters = &self.broker.counters;
        if sent.messages + sent.dropped > 0 {
            add(&counters.deliveries, sent.messages);
            add(&counters.deliveries_dropped, sent.dropped);
            less(&counters.queued_bytes_now, sent.freed);
        }
    }
}
