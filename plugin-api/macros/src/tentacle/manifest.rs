//! The manifest as constant pieces: text that is known here, and what only the compiler knows.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{LitStr, Type};

use super::handlers::{Capability, Handler, Handlers, Subscription};
use super::plugin::{Need, Plugin};
use crate::json;

/// The expression of the manifest's pieces. `config`: the type of the configuration, if there
/// is any.
pub(crate) fn pieces(plugin: &Plugin, handlers: &Handlers, config: Option<&Type>) -> TokenStream {
    let mut out = Pieces::default();
    out.text("{");
    head(&mut out, plugin);
    out.list("capabilities", &handlers.calls, capability);
    out.list("subscriptions", &handlers.deliveries, subscription);
    out.list("needs", &plugin.needs, need);
    out.key("permissions");
    out.text("{");
    for (key, values) in plugin.permissions() {
        let values: Vec<String> = values.iter().map(LitStr::value).collect();
        out.raw(key, &json::strings(&values));
    }
    out.text("}");
    if let Some(config) = config {
        out.key("config");
        out.schema(config);
    }
    out.text("}");
    let pieces = out.finish();
    quote!(&[#(#pieces),*])
}

fn head(out: &mut Pieces, plugin: &Plugin) {
    out.string(
        "manifest",
        &quote!(::octa_plugin_api::abi::manifest::FORMAT),
    );
    match &plugin.name {
        Some(name) => out.raw("name", &json::string(&name.value())),
        None => out.string("name", &quote!(::core::env!("CARGO_PKG_NAME"))),
    }
    out.string("version", &quote!(::core::env!("CARGO_PKG_VERSION")));
    if plugin.docs.is_empty() {
        out.string(
            "description",
            &quote!(::core::env!("CARGO_PKG_DESCRIPTION")),
        );
    } else {
        out.raw("description", &json::string(&plugin.docs));
    }
    out.string("license", &quote!(::core::env!("CARGO_PKG_LICENSE")));
    out.key("abi");
    out.text("{");
    out.number("major", &quote!(::octa_plugin_api::abi::MAJOR));
    out.number("minor", &quote!(::octa_plugin_api::abi::MINOR));
    out.string("fingerprint", &quote!(::octa_plugin_api::abi::FINGERPRINT));
    out.text("}");
    out.string("compiler", &quote!(::octa_plugin_api::export::COMPILER));
    out.string("panic", &quote!(::octa_plugin_api::export::PANIC));
    out.string("target", &quote!(::octa_plugin_api::export::TARGET));
    out.raw(
        "allocator",
        if plugin.own_allocator {
            "\"own\""
        } else {
            "\"counting\""
        },
    );
    if let Some(version) = plugin.state_version {
        out.raw("state_version", &version.to_string());
    }
    if let Some(reload) = &plugin.reload {
        out.raw("reload", &json::string(reload));
    }
    if let Some(placement) = &plugin.placement {
        out.raw("placement", &json::string(placement));
    }
}

fn capability(out: &mut Pieces, handler: &Handler<Capability>) {
    let role = &handler.role;
    out.raw("name", &json::string(&role.name.value()));
    out.raw("description", &json::string(&handler.docs));
    out.key("input");
    match handler.method.input() {
        None => out.schema(&syn::parse_quote!(())),
        Some(_) if handler.method.takes_bytes() => {
            out.schema(&syn::parse_quote!(::octa_plugin_api::Payload));
        }
        Some(ty) => out.schema(ty),
    }
    out.key("output");
    out.schema(&handler.method.output.ty);
    out.flag("idempotent", role.idempotent);
    out.flag("blocking", handler.blocking);
    out.optional("deadline_ms", role.deadline);
    out.optional("policy", role.policy.as_ref());
}

fn subscription(out: &mut Pieces, handler: &Handler<Subscription>) {
    let role = &handler.role;
    out.raw("pattern", &json::string(&role.pattern.value()));
    out.raw("description", &json::string(&handler.docs));
    out.optional("capacity", role.capacity);
    if let Some(overflow) = &role.overflow {
        out.raw("overflow", &json::string(overflow));
    }
    out.optional("concurrency", role.concurrency);
    out.optional("retries", role.retries);
    out.optional("backoff_ms", role.backoff);
    out.optional("backoff_max_ms", role.backoff_max);
    out.flag("blocking", handler.blocking);
}

fn need(out: &mut Pieces, need: &Need) {
    out.raw(need.kind, &json::string(&need.name.value()));
    if let Some(version) = &need.version {
        out.raw("version", &json::string(&version.value()));
    }
    out.flag("optional", need.optional);
}

/// Pieces under construction; text that follows on text becomes one piece.
#[derive(Default)]
struct Pieces {
    done: Vec<TokenStream>,
    text: String,
    /// Whether the next key needs a comma before it.
    comma: bool,
}

impl Pieces {
    fn text(&mut self, text: &str) {
        self.text.push_str(text);
        self.comma = !text.ends_with(['{', '[']);
    }

    fn key(&mut self, key: &str) {
        if self.comma {
            self.text.push(',');
        }
        self.text(&json::string(key));
        self.text.push(':');
    }

    fn raw(&mut self, key: &str, json: &str) {
        self.key(key);
        self.text.push_str(json);
    }

    fn flag(&mut self, key: &str, value: bool) {
        if value {
            self.raw(key, "true");
        }
    }

    fn optional(&mut self, key: &str, json: Option<impl ToString>) {
        if let Some(json) = json {
            self.raw(key, &json.to_string());
        }
    }

    fn string(&mut self, key: &str, constant: &TokenStream) {
        self.key(key);
        self.piece(quote!(::octa_plugin_api::schema::Piece::String(#constant)));
    }

    fn number(&mut self, key: &str, constant: &TokenStream) {
        self.key(key);
        self.piece(quote!(::octa_plugin_api::schema::Piece::Number(#constant as u64)));
    }

    fn schema(&mut self, ty: &Type) {
        let schema = quote_spanned! {ty.span()=>
            <#ty as ::octa_plugin_api::schema::Schema>::SCHEMA
        };
        self.piece(quote!(::octa_plugin_api::schema::Piece::Schema(#schema)));
    }

    /// An array of the objects whose members `write` writes.
    fn list<T>(&mut self, key: &str, items: &[T], write: fn(&mut Self, &T)) {
        self.key(key);
        self.text("[");
        for item in items {
            if self.comma {
                self.text.push(',');
            }
            self.text("{");
            write(self, item);
            self.text("}");
        }
        self.text("]");
    }

    fn piece(&mut self, piece: TokenStream) {
        self.flush();
        self.done.push(piece);
        self.comma = true;
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            let text = std::mem::take(&mut self.text);
            self.done
                .push(quote!(::octa_plugin_api::schema::Piece::Text(#text)));
        }
    }

    fn finish(mut self) -> Vec<TokenStream> {
        self.flush();
        self.done
    }
}
