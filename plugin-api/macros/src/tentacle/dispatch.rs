//! From a handler's number to the author's method: the functions that the tables hold.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use super::handlers::{Capability, Handler, Method, Parameter, Subscription};

/// The expression of a `CallHandler`.
pub(crate) fn call(handler: &Handler<Capability>) -> TokenStream {
    let method = &handler.method;
    let output = &method.output.ty;
    if method.takes_bytes() {
        let body = body(method);
        return quote!(|this, call| call.ready_bytes::<#output>(move |ctx, input| #body));
    }
    let input = method.input().map_or(quote!(()), |ty| quote!(#ty));
    let way = way(method.is_async, handler.blocking);
    let future = method.is_async.then(|| quote!(, _));
    let closure = closure(method, &input);
    quote!(|this, call| call.#way::<#input, #output #future>(#closure))
}

/// The expression of a `DeliveryHandler`.
pub(crate) fn delivery(handler: &Handler<Subscription>) -> TokenStream {
    let method = &handler.method;
    let event = method
        .input()
        .map_or(quote!(::octa_plugin_api::Payload), |ty| quote!(#ty));
    let way = way(method.is_async, handler.blocking);
    let future = method.is_async.then(|| quote!(, _));
    let closure = closure(method, &event);
    quote!(|this, delivery| delivery.#way::<#event #future>(#closure))
}

/// The function that fits how the method runs.
fn way(is_async: bool, blocking: bool) -> Ident {
    let way = match (is_async, blocking) {
        (false, false) => "ready",
        (false, true) => "blocking",
        (true, false) => "future",
        (true, true) => "blocking_future",
    };
    format_ident!("{way}")
}

fn closure(method: &Method, input: &TokenStream) -> TokenStream {
    let body = body(method);
    if method.is_async {
        quote!(move |ctx, input: #input| async move #body)
    } else {
        quote!(move |ctx, input: #input| #body)
    }
}

/// Calls the method and makes the one kind of result of what it returns.
fn body(method: &Method) -> TokenStream {
    let (name, output) = (&method.name, &method.output.ty);
    let (lend, wait) = if method.is_async {
        (quote!(&), quote!(.await))
    } else {
        Default::default()
    };
    let arguments = method.parameters.iter().map(|parameter| match parameter {
        Parameter::Context => quote!(#lend ctx),
        Parameter::Input(_) => quote!(input),
    });
    let called = quote!(this.#name(#(#arguments),*)#wait);
    let result = if method.output.fallible {
        quote!(::core::result::Result::map_err(#called, ::core::convert::Into::into))
    } else {
        quote!(::core::result::Result::Ok(#called))
    };
    quote!({
        // Not every method takes both.
        let _ = (&ctx, &input);
        let result: ::octa_plugin_api::Result<#output> = #result;
        result
    })
}
