//! What a session does about each message of its client.

use std::sync::Arc;

use nostr::event::Event;
use nostr::filter::Filter;
use nostr::key::PublicKey;
use tokio::time::Instant;

use super::auth;
use super::filter;
use super::message::{self, AnswerTo, ClientMessage, Malformed, Question};
use super::negentropy::Reconciliation;
use super::reply;
use super::session::{Open, Reconciling, Session};
use super::stored::QueryError;
use super::subscription::Subscription;
use crate::intake::Source;

/// COUNTs that wait or run at the same time on one connection.
const MAX_COUNTS: usize = 16;

impl Session {
    /// Reads a message, and does what it asks for.
    pub(super) fn handle(&mut self, text: &str) -> Option<Reconciling> {
        match message::parse(text) {
            Ok(message) => self.act(message, text.len()),
            Err(malformed) => {
                self.outbox.answer(&answer_malformed(malformed));
                None
            }
        }
    }

    /// Does what a message of so many bytes asks for, or keeps it until the events before it are judged. A
    /// reconciliation that has to be done before the next message is read comes back.
    pub(super) fn act(&mut self, message: ClientMessage, bytes: usize) -> Option<Reconciling> {
        if !matches!(message, ClientMessage::Event(_)) {
            if self.publishing.unjudged() > 0 {
                self.held = Some(message);
                return None;
            }
            // What was served before a question is not news after its answer.
            self.relay.feed.deliver_gathered();
        }
        match message {
            ClientMessage::Event(event) => self.event(*event, bytes),
            ClientMessage::Auth(event) => self.authenticate(&event),
            ClientMessage::Req(question) => self.subscribe(question),
            ClientMessage::Close { id } => self.unsubscribe(&id),
            ClientMessage::Count(question) => self.count(question),
            ClientMessage::NegOpen { id, filter, message } => return self.reconcile(id, filter, message),
            ClientMessage::NegMsg { id, message } => return self.reconcile_on(id, message),
            ClientMessage::NegClose { id } => drop(self.reconciliations.remove(&id)),
        }
        None
    }

    /// Takes an event in that came in a message of so many bytes.
    fn event(&mut self, event: Event, bytes: usize) {
        let now = Instant::now();
        if !self.events.take(now) || !self.address.lock().take_event(now) {
            let reason = "rate-limited: too many events from here; wait a moment and send it again";
            self.relay.meters.relay.rate_limited.inc();
            self.outbox.answer(&reply::ok(&event.id, false, reason));
        } else if let Err(reason) = auth::may_publish(&event, self.authenticated()) {
            self.relay.meters.relay.refused();
            self.outbox.answer(&reply::ok(&event.id, false, reason));
        } else {
            self.publishing.push(event, bytes);
        }
    }

    fn authenticated(&self) -> &[PublicKey] {
        match &self.source {
            Source::Client { authenticated, .. } => authenticated,
            Source::Sync => &[],
        }
    }

    fn authenticate(&mut self, event: &Event) {
        let now = Instant::now();
        let checked = if !self.events.take(now) || !self.address.lock().take_event(now) {
            Err("rate-limited: too many events from here; wait a moment and send it again".to_owned())
        } else {
            let relay = &self.relay;
            auth::check_authentication(event, &self.challenge, relay.host.as_deref(), relay.clock.now())
        };
        let most = self.relay.limits.max_authenticated_keys;
        let result = checked.and_then(|key| match &mut self.source {
            Source::Client { authenticated, .. } if !authenticated.contains(&key) => {
                if authenticated.len() >= most {
                    return Err(format!("rate-limited: at most {most} keys per connection"));
                }
                *authenticated = authenticated.iter().copied().chain([key]).collect();
                Ok(())
            }
            _ => Ok(()),
        });
        let reason = result.as_ref().err().map_or("", String::as_str);
        self.outbox.answer(&reply::ok(&event.id, result.is_ok(), reason));
    }

    /// Whether a question may be asked at all.
    fn check_question(&mut self, id: &str, filters: usize) -> Result<(), String> {
        let limits = &self.relay.limits;
        if id.len() > limits.max_subid_length {
            return Err(format!("invalid: a subscription id has at most {} bytes", limits.max_subid_length));
        }
        if filters > limits.max_filters {
            return Err(format!("invalid: {filters} filters; at most {} are taken", limits.max_filters));
        }
        let now = Instant::now();
        if !self.queries.take(now) || !self.address.lock().take_query(now) {
            return Err("rate-limited: too many queries from here; wait a moment and ask again".to_owned());
        }
        Ok(())
    }

    fn subscribe(&mut self, question: Question) {
        // The same id again replaces the subscription (NIP-01), and a refusal ends it.
        self.unsubscribe(&question.id);
        if let Err(reason) = self.may_subscribe(&question) {
            self.relay.meters.relay.refused_queries.inc();
            self.outbox.answer(&reply::closed(&question.id, &reason));
            return;
        }
        let begun = Instant::now();
        self.relay.meters.relay.reqs.inc();
        let size = question.filters.iter().map(filter::size).sum();
        let filters: Arc<[_]> = question.filters.into();
        let subscription =
            Arc::new(Subscription::new(question.id.clone(), self.outbox.clone(), self.gone.child_token()));
        let number = self.relay.feed.enter(filters.clone(), &subscription);
        let open = Open { number, size, subscription: subscription.clone() };
        self.open.insert(question.id, open);
        if filters.iter().all(|filter| filter.limit == Some(0)) {
            self.relay.feed.go_live(&subscription, &Default::default());
            return;
        }
        let (relay, running) = (self.relay.clone(), self.running.clone());
        tokio::spawn(async move {
            let stored = async {
                let _place = running.acquire().await.map_err(|_| QueryError::Gone)?;
                relay.questions.send(&filters, &subscription).await
            };
            let sent = tokio::select! {
                () = subscription.stop().cancelled() => return,
                sent = stored => sent,
            };
            match sent {
                Ok(sent) => {
                    relay.meters.relay.queried(begun.elapsed());
                    relay.feed.go_live(&subscription, &sent);
                }
                Err(error) => subscription.close(&error.to_string()),
            }
        });
    }

    fn may_subscribe(&mut self, question: &Question) -> Result<(), String> {
        self.check_question(&question.id, question.sent)?;
        let limits = &self.relay.limits;
        if self.open.len() >= limits.max_subscriptions {
            let feed = &self.relay.feed;
            self.open.retain(|_, open| {
                let ended = open.subscription.is_ended();
                if ended {
                    feed.leave(open.number);
                }
                !ended
            });
        }
        if self.open.len() >= limits.max_subscriptions {
            let most = limits.max_subscriptions;
            return Err(format!(
                "rate-limited: at most {most} subscriptions per connection; CLOSE one first"
            ));
        }
        let size: usize = self.open.values().map(|open| open.size).sum();
        if size + question.filters.iter().map(filter::size).sum::<usize>() > limits.max_filter_values {
            let most = limits.max_filter_values;
            return Err(format!(
                "rate-limited: the filters of this connection would hold more than {most} values; CLOSE one first"
            ));
        }
        Ok(())
    }

    fn unsubscribe(&mut self, id: &str) {
        if let Some(open) = self.open.remove(id) {
            self.relay.feed.leave(open.number);
            open.subscription.drop_silently();
        }
    }

    fn count(&mut self, question: Question) {
        if let Err(reason) = self.check_question(&question.id, question.sent) {
            self.relay.meters.relay.refused_queries.inc();
            self.outbox.answer(&reply::closed(&question.id, &reason));
            return;
        }
        let most = MAX_COUNTS;
        if Arc::strong_count(&self.counting) > most {
            self.relay.meters.relay.refused_queries.inc();
            let reason = format!("rate-limited: {most} counts are running on this connection; wait for one");
            self.outbox.answer(&reply::closed(&question.id, &reason));
            return;
        }
        let begun = Instant::now();
        self.relay.meters.relay.counts.inc();
        let (relay, running, counting) = (self.relay.clone(), self.running.clone(), self.counting.clone());
        let (outbox, gone) = (self.outbox.clone(), self.gone.clone());
        tokio::spawn(async move {
            let counted = async {
                let _place = running.acquire().await.map_err(|_| QueryError::Gone)?;
                relay.questions.count(&question.filters).await
            };
            let counted = tokio::select! {
                () = gone.cancelled() => return,
                counted = counted => counted,
            };
            drop(counting);
            relay.meters.relay.queried(begun.elapsed());
            outbox.answer(&match counted {
                Ok((count, approximate)) => reply::count(&question.id, count, approximate),
                Err(error) => reply::closed(&question.id, &error.to_string()),
            });
        });
    }

    fn reconcile(&mut self, id: String, filter: Option<Filter>, message: Vec<u8>) -> Option<Reconciling> {
        self.reconciliations.remove(&id);
        let most = self.relay.limits.max_neg_sessions;
        let allowed = self.check_question(&id, 1).and_then(|()| {
            let room = self.reconciliations.len() < most;
            let reason =
                || format!("blocked: at most {most} reconciliations per connection; NEG-CLOSE one first");
            room.then_some(()).ok_or_else(reason)
        });
        if let Err(reason) = allowed {
            self.relay.meters.relay.refused_queries.inc();
            self.outbox.answer(&reply::neg_err(&id, &reason));
            return None;
        }
        let relay = self.relay.clone();
        relay.meters.relay.reconciliations.inc();
        Some(Box::pin(async move {
            let result = match relay.records.open(&relay.questions, filter).await {
                Ok(session) => session.answer(message).await,
                Err(reason) => Err(reason),
            };
            (id, result)
        }))
    }

    fn reconcile_on(&mut self, id: String, message: Vec<u8>) -> Option<Reconciling> {
        let Some(session) = self.reconciliations.remove(&id) else {
            self.outbox.answer(&reply::neg_err(&id, "closed: no such reconciliation is open; NEG-OPEN it"));
            return None;
        };
        Some(Box::pin(async move { (id, session.answer(message).await) }))
    }

    pub(super) fn reconciled(&mut self, id: String, result: Result<(Reconciliation, Vec<u8>), String>) {
        match result {
            Ok((session, answer)) => {
                self.outbox.answer(&reply::neg_msg(&id, &answer));
                self.reconciliations.insert(id, session);
            }
            Err(reason) => self.outbox.answer(&reply::neg_err(&id, &reason)),
        }
    }

    pub(super) fn expire_reconciliations(&mut self) {
        let (idle, now) = (self.relay.limits.neg_idle, Instant::now());
        let outbox = &self.outbox;
        self.reconciliations.retain(|id, session| {
            let alive = now.saturating_duration_since(session.last_used()) < idle;
            if !alive {
                outbox.answer(&reply::neg_err(id, "closed: the reconciliation was idle for too long"));
            }
            alive
        });
    }
}

fn answer_malformed(malformed: Malformed) -> String {
    let reason = format!("invalid: {}", malformed.reason);
    match malformed.answer {
        AnswerTo::Connection => reply::notice(&reason),
        AnswerTo::Event(id) => reply::refused(&id, &reason),
        AnswerTo::Subscription(id) => reply::closed(&id, &reason),
        AnswerTo::Reconciliation(id) => reply::neg_err(&id, &reason),
    }
}
