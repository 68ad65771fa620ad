//! The operations on state: answered at once, but for waiting for changes.

use std::sync::Arc;
use std::time::Duration;

use octa_loader::{Manifest, Outcome, Request, Submitted, operation};
use octa_plugin_api::Error;

use super::{Asked, absent, after, done, errors, expected, unknown, wire};
use crate::state::State;

/// Does an operation on the state for a plugin.
pub(in crate::facilities) fn state(
    state: &State,
    plugin: &Arc<Manifest>,
    request: &Request<'_>,
) -> Result<Submitted, Error> {
    if request.operation == operation::STATE_CHANGES {
        return changes(state.clone(), plugin.clone(), request);
    }
    at_once(state, &plugin.name, request).map(Submitted::Ready)
}

fn at_once(state: &State, plugin: &str, request: &Request<'_>) -> Result<Outcome, Error> {
    let (namespace, key) = (request.target, request.key);
    match request.operation {
        operation::STATE_GET => {
            let found = state.get(namespace, key);
            let found = found.map_err(|e| errors::state(plugin, e))?;
            let found = found.ok_or_else(|| absent(namespace, key))?;
            Ok(Outcome::ok(found.version, found.value))
        }
        operation::STATE_SET => {
            let (expect, value) = (expected(request)?, request.payload.clone());
            let version = state.compare_and_set(namespace, key, expect, value);
            version.map(done).map_err(|e| errors::state(plugin, e))
        }
        operation::STATE_SET_FOR => {
            let expect = expected(request)?;
            let lasting = wire::lasting(&request.payload);
            let lasting = lasting.map_err(|e| errors::value(plugin, request, &e))?;
            let (value, time) = (lasting.value.get().as_bytes(), lasting.time);
            let time = Duration::from_nanos(time);
            let version = state.set_for(namespace, key, expect, value, time);
            version.map(done).map_err(|e| errors::state(plugin, e))
        }
        operation::STATE_DELETE => {
            let deleted = state.compare_and_delete(namespace, key, expected(request)?);
            deleted.map(done).map_err(|e| errors::state(plugin, e))
        }
        operation::STATE_LIST => {
            let asked = Asked::of(request, plugin)?;
            let query = asked.query().map_err(|e| errors::invalid(plugin, &e))?;
            wire::page(&state.list(query))
        }
        _ => Err(unknown(request)),
    }
}

fn changes(state: State, plugin: Arc<Manifest>, request: &Request<'_>) -> Result<Submitted, Error> {
    let after = after(request)?;
    let [namespace, prefix] = [request.target, request.key].map(str::to_owned);
    Ok(Submitted::New(Box::pin(async move {
        let changes = state.changes(&namespace, &prefix, after).await;
        let changes = changes.map_err(|e| errors::state(&plugin.name, e));
        let told = changes.and_then(|changes| wire::changes(&changes));
        told.unwrap_or_else(Outcome::from)
    })))
}
