//! The attribute `#[tentacle]`: from an impl block to a plugin with its manifest and exports.
//! What the exports do at run time is the job of `octa_plugin_api::export`.

mod dispatch;
mod exports;
mod handlers;
mod manifest;
mod names;
mod plugin;
mod policy;
mod settings;

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, ImplItem, ImplItemFn, ItemImpl, Result, Type, parse_quote};

use self::handlers::Handlers;
use self::plugin::Plugin;
use crate::docs;

/// The functions of the trait that the kernel asks for.
const HOOKS: [&str; 6] = ["create", "start", "stop", "health", "save", "restore"];

/// Expands the attribute. After a mistake the impl is still there, so that it is the only thing
/// the compiler complains about.
pub(crate) fn expand(settings: TokenStream, item: ItemImpl) -> TokenStream {
    let mut parts = Parts::split(item);
    let export = parts.export(settings);
    let own = &parts.own;
    let life = parts.life();
    let export = export.unwrap_or_else(Error::into_compile_error);
    quote!(#own #life #export)
}

/// The author's impl, taken apart.
struct Parts {
    /// The inherent impl: the handlers, and the rest in the form without the trait.
    own: ItemImpl,
    /// The impl of the trait, if the author wrote it.
    life: Option<ItemImpl>,
    handlers: Result<Handlers>,
}

impl Parts {
    fn split(mut item: ItemImpl) -> Self {
        let mut handlers = Ok(Handlers::default());
        let (mut handling, mut others) = (Vec::new(), Vec::new());
        for part in item.items.drain(..) {
            let ImplItem::Fn(mut method) = part else {
                others.push(part);
                continue;
            };
            let Some(attribute) = handlers::take_attribute(&mut method) else {
                others.push(ImplItem::Fn(method));
                continue;
            };
            let second = handlers::take_attribute(&mut method);
            let added = match &mut handlers {
                _ if second.is_some() => {
                    let message =
                        "a method handles calls or events of one kind: write a second one";
                    Err(Error::new_spanned(second, message))
                }
                Ok(handlers) => handlers.add(&attribute, &method),
                // Only to find more mistakes.
                Err(_) => Handlers::default().add(&attribute, &method),
            };
            combine(&mut handlers, added);
            // Without a trait nothing has to move.
            let place = if item.trait_.is_some() {
                &mut handling
            } else {
                &mut others
            };
            place.push(ImplItem::Fn(method));
        }
        item.items = others;
        if item.trait_.is_none() {
            return Self {
                own: item,
                life: None,
                handlers,
            };
        }
        let mut own = item.clone();
        own.trait_ = None;
        own.attrs
            .retain(|attribute| !attribute.path().is_ident("doc"));
        own.items = handling;
        Self {
            own,
            life: Some(item),
            handlers,
        }
    }

    fn export(&mut self, settings: TokenStream) -> Result<TokenStream> {
        let written = self.life.as_ref().unwrap_or(&self.own);
        let plugin = Plugin::parse(settings, docs::text(&written.attrs));
        let mut result = self.check();
        let handlers = std::mem::replace(&mut self.handlers, Ok(Handlers::default()));
        let handlers = handlers.map_err(|error| join(&mut result, error));
        let plugin = plugin.map_err(|error| join(&mut result, error));
        result?;
        match (plugin, handlers) {
            (Ok(plugin), Ok(handlers)) => Ok(self.exported(&plugin, &handlers)),
            _ => Ok(TokenStream::new()),
        }
    }

    fn exported(&self, plugin: &Plugin, handlers: &Handlers) -> TokenStream {
        let this = &self.own.self_ty;
        let pieces = manifest::pieces(plugin, handlers, self.config());
        let exports = exports::items(this, plugin.own_allocator);
        let live_memory = exports::live_memory(plugin.own_allocator);
        let calls = handlers.calls.iter().map(dispatch::call);
        let deliveries = handlers.deliveries.iter().map(dispatch::delivery);
        let state_version = match plugin.state_version {
            Some(version) => quote!(::core::option::Option::Some(#version)),
            None => quote!(::core::option::Option::None),
        };
        let name_check = plugin.name.is_none().then(package_name_check);
        quote! {
            const _: () = {
                trait Pieces {
                    const PIECES: &'static [::octa_plugin_api::schema::Piece];
                }

                impl Pieces for #this {
                    const PIECES: &'static [::octa_plugin_api::schema::Piece] = #pieces;
                }

                #name_check
                #exports

                impl ::octa_plugin_api::export::Exported for #this {
                    const MANIFEST: &'static str = NOTE.manifest();
                    const CALLS: &'static [::octa_plugin_api::export::CallHandler<Self>] =
                        &[#(#calls),*];
                    const DELIVERIES: &'static [::octa_plugin_api::export::DeliveryHandler<Self>] =
                        &[#(#deliveries),*];
                    const STATE_VERSION: ::core::option::Option<u32> = #state_version;

                    fn live_memory() -> ::core::option::Option<(u64, u64)> {
                        #live_memory
                    }
                }
            };
        }
    }

    /// The impl of the trait, completed.
    fn life(&self) -> TokenStream {
        if !self.is_ours() {
            let life = &self.life;
            return quote!(#life);
        }
        let this = &self.own.self_ty;
        let config = self.written_config().is_none().then(|| {
            quote!(
                type Config = ();
            )
        });
        let create = (!self.has("create")).then(|| {
            let default = quote_spanned! {this.span()=>
                <#this as ::core::default::Default>::default()
            };
            quote! {
                fn create(_: Self::Config) -> ::octa_plugin_api::Result<Self> {
                    ::core::result::Result::Ok(#default)
                }
            }
        });
        match &self.life {
            None => quote! {
                impl ::octa_plugin_api::Tentacle for #this {
                    #config
                    #create
                }
            },
            Some(life) => {
                let mut life = life.clone();
                let added = [config, create]
                    .into_iter()
                    .flatten()
                    .map(ImplItem::Verbatim);
                life.items.extend(added);
                quote!(#life)
            }
        }
    }

    fn check(&self) -> Result<()> {
        let written = self.life.as_ref().unwrap_or(&self.own);
        if !written.generics.params.is_empty() {
            let message = "a plugin is one concrete type: a tentacle cannot be generic";
            return Err(Error::new_spanned(&written.generics, message));
        }
        match &self.life {
            Some(life) => self.check_trait(life),
            None => self.refuse_hooks(),
        }
    }

    fn check_trait(&self, life: &ItemImpl) -> Result<()> {
        if !self.is_ours() {
            let path = life.trait_.as_ref().map(|(_, path, _)| path);
            let message =
                "`#[tentacle]` stands over `impl Type { … }` or `impl Tentacle for Type { … }`";
            return Err(Error::new_spanned(path, message));
        }
        match self.config() {
            Some(config) if !self.has("create") => {
                let message = "who takes a `Config` says what to make of it: write `fn create(config: Self::Config) -> Result<Self>`";
                Err(Error::new_spanned(config, message))
            }
            _ => Ok(()),
        }
    }

    /// In the form without the trait a hook would never be called.
    fn refuse_hooks(&self) -> Result<()> {
        let Ok(handlers) = &self.handlers else {
            return Ok(());
        };
        let handles = |name: &syn::Ident| handlers.methods().any(|method| method.name == *name);
        let mut methods = self.own.items.iter().filter_map(method);
        let hook = methods.find(|method| {
            HOOKS.iter().any(|hook| method.sig.ident == hook) && !handles(&method.sig.ident)
        });
        match hook {
            Some(hook) => {
                let (name, this) = (&hook.sig.ident, &self.own.self_ty);
                let message = format!(
                    "`{name}` is a hook, which is not called here: write `impl Tentacle for {}`, or give it another name",
                    quote!(#this)
                );
                Err(Error::new(name.span(), message))
            }
            None => Ok(()),
        }
    }

    /// Whether the impl is of no trait, or of the right one.
    fn is_ours(&self) -> bool {
        match self.life.as_ref().and_then(|life| life.trait_.as_ref()) {
            Some((not, path, _)) => {
                let name = path.segments.last();
                not.is_none() && name.is_some_and(|segment| segment.ident == "Tentacle")
            }
            None => true,
        }
    }

    /// The type of the configuration, if there is any to read.
    fn config(&self) -> Option<&Type> {
        self.written_config()
            .filter(|config| **config != parse_quote!(()))
    }

    fn written_config(&self) -> Option<&Type> {
        let items = self.life.iter().flat_map(|life| &life.items);
        items.into_iter().find_map(|item| match item {
            ImplItem::Type(item) if item.ident == "Config" => Some(&item.ty),
            _ => None,
        })
    }

    fn has(&self, name: &str) -> bool {
        let mut methods = self
            .life
            .iter()
            .flat_map(|life| &life.items)
            .filter_map(method);
        methods.any(|method| method.sig.ident == name)
    }
}

/// Checks the package's name where it becomes the plugin's.
fn package_name_check() -> TokenStream {
    quote! {
        const _: () = ::core::assert!(
            ::octa_plugin_api::export::is_plugin_name(::core::env!("CARGO_PKG_NAME")),
            "the package's name is no name for a plugin; give it one: `#[tentacle(name = \"…\")]`, of 1 to 64 of `a`-`z`, `0`-`9` and `-`, beginning with a letter",
        );
    }
}

fn method(item: &ImplItem) -> Option<&ImplItemFn> {
    match item {
        ImplItem::Fn(method) => Some(method),
        _ => None,
    }
}

fn combine<T>(into: &mut Result<T>, result: Result<()>) {
    if let Err(error) = result {
        match into {
            Ok(_) => *into = Err(error),
            Err(first) => first.combine(error),
        }
    }
}

fn join(into: &mut Result<()>, error: Error) {
    combine(into, Err(error));
}
