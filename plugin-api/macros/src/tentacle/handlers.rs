//! The author's methods that handle calls and events: what their attributes and signatures say.

use syn::parse::{Parse, ParseStream};
use syn::{
    Attribute, Error, FnArg, GenericArgument, GenericParam, Ident, ImplItemFn, LitStr,
    PathArguments, Result, ReturnType, Token, Type, parse_quote,
};

use super::names;
use super::policy;
use super::settings::Settings;
use crate::docs;

/// The handlers of a tentacle, each list in the order of their numbers.
#[derive(Default)]
pub(crate) struct Handlers {
    pub(crate) calls: Vec<Handler<Capability>>,
    pub(crate) deliveries: Vec<Handler<Subscription>>,
}

/// A method that handles calls or events.
pub(crate) struct Handler<Role> {
    pub(crate) role: Role,
    pub(crate) docs: String,
    pub(crate) blocking: bool,
    pub(crate) method: Method,
}

/// A handler's signature.
pub(crate) struct Method {
    pub(crate) name: Ident,
    pub(crate) is_async: bool,
    /// What the method takes after `&self`, in order.
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) output: Output,
}

/// What `#[capability(…)]` says.
pub(crate) struct Capability {
    pub(crate) name: LitStr,
    pub(crate) idempotent: bool,
    pub(crate) deadline: Option<u64>,
    /// How its calls are to be treated, as JSON.
    pub(crate) policy: Option<String>,
}

/// What `#[subscribe(…)]` says.
pub(crate) struct Subscription {
    pub(crate) pattern: LitStr,
    pub(crate) capacity: Option<u32>,
    pub(crate) overflow: Option<String>,
    pub(crate) concurrency: Option<u32>,
    pub(crate) retries: Option<u32>,
    pub(crate) backoff: Option<u64>,
    pub(crate) backoff_max: Option<u64>,
}

/// One parameter of a handler.
pub(crate) enum Parameter {
    Context,
    Input(Box<Type>),
}

/// What a handler returns.
pub(crate) struct Output {
    pub(crate) ty: Type,
    pub(crate) fallible: bool,
}

/// Takes the handler's attribute off a method; none if it is no handler.
pub(crate) fn take_attribute(method: &mut ImplItemFn) -> Option<Attribute> {
    let index = method.attrs.iter().position(|attribute| {
        is_named(attribute, "capability") || is_named(attribute, "subscribe")
    })?;
    Some(method.attrs.remove(index))
}

impl Handlers {
    /// Adds the handler that the attribute makes of the method.
    pub(crate) fn add(&mut self, attribute: &Attribute, method: &ImplItemFn) -> Result<()> {
        refuse_conditions(method)?;
        let docs = docs::text(&method.attrs);
        if is_named(attribute, "capability") {
            let (role, blocking) = capability(attribute)?;
            let method = Method::parse(method)?;
            method.check_input(!blocking && !method.is_async)?;
            self.refuse_second(&role.name)?;
            self.calls.push(Handler {
                role,
                docs,
                blocking,
                method,
            });
        } else {
            let (role, blocking) = subscription(attribute)?;
            let output = &method.sig.output;
            let method = Method::parse(method)?;
            method.check_input(false)?;
            method.refuse_output(output)?;
            self.deliveries.push(Handler {
                role,
                docs,
                blocking,
                method,
            });
        }
        Ok(())
    }

    /// The signatures of all handlers.
    pub(crate) fn methods(&self) -> impl Iterator<Item = &Method> {
        let calls = self.calls.iter().map(|handler| &handler.method);
        calls.chain(self.deliveries.iter().map(|handler| &handler.method))
    }

    fn refuse_second(&self, name: &LitStr) -> Result<()> {
        let Some(first) = self.calls.iter().find(|call| call.role.name == *name) else {
            return Ok(());
        };
        let text = name.value();
        let message = format!(
            "the capability `{text}` is offered already, by `{}`",
            first.method.name
        );
        let mut error = Error::new(name.span(), message);
        error.combine(Error::new(
            first.role.name.span(),
            format!("`{text}` is offered first here"),
        ));
        Err(error)
    }
}

impl Method {
    fn parse(method: &ImplItemFn) -> Result<Self> {
        Ok(Self {
            name: method.sig.ident.clone(),
            is_async: method.sig.asyncness.is_some(),
            parameters: parameters(method)?,
            output: output(&method.sig.output),
        })
    }

    /// The input's type, if the method takes one.
    pub(crate) fn input(&self) -> Option<&Type> {
        self.parameters
            .iter()
            .find_map(|parameter| match parameter {
                Parameter::Input(ty) => Some(&**ty),
                Parameter::Context => None,
            })
    }

    /// Whether the method reads the bytes of the input where they lie.
    pub(crate) fn takes_bytes(&self) -> bool {
        self.input().is_some_and(is_byte_slice)
    }

    /// Refuses references; `in_place`: but not to bytes.
    fn check_input(&self, in_place: bool) -> Result<()> {
        let Some(input @ Type::Reference(_)) = self.input() else {
            return Ok(());
        };
        match (self.takes_bytes(), in_place) {
            (true, true) => Ok(()),
            (true, false) => {
                let message =
                    "`&[u8]` is for capabilities that neither wait nor block: take a `Payload`";
                Err(Error::new_spanned(input, message))
            }
            (false, _) => {
                let message = "what is read from a payload is yours: take it as an owned type, such as `String` for `&str`";
                Err(Error::new_spanned(input, message))
            }
        }
    }

    fn refuse_output(&self, written: &ReturnType) -> Result<()> {
        if self.output.ty == parse_quote!(()) {
            return Ok(());
        }
        let message =
            "nobody takes what a subscription's handler returns: return nothing, or `Result<()>`";
        Err(Error::new_spanned(written, message))
    }
}

/// The name or pattern first, then settings.
struct Arguments {
    name: LitStr,
    settings: Settings,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name = input.parse()?;
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
        Ok(Self {
            name,
            settings: input.parse()?,
        })
    }
}

fn arguments(attribute: &Attribute, example: &str) -> Result<Arguments> {
    attribute.parse_args().map_err(|error| {
        let bare = attribute.meta.require_list().is_err();
        if bare {
            Error::new_spanned(attribute, format!("say what for: `{example}`"))
        } else {
            error
        }
    })
}

fn is_named(attribute: &Attribute, name: &str) -> bool {
    attribute
        .path()
        .segments
        .last()
        .is_some_and(|segment| segment.ident == name)
}

fn capability(attribute: &Attribute) -> Result<(Capability, bool)> {
    let Arguments { name, mut settings } =
        arguments(attribute, "#[capability(\"lamps.turn_on\")]")?;
    let own = ["idempotent", "blocking", "deadline"];
    settings.check("capability", &[&own[..], &policy::KNOWN].concat(), &[])?;
    names::name(&name)?;
    let capability = Capability {
        idempotent: settings.flag("idempotent")?,
        deadline: settings.milliseconds("deadline")?,
        policy: policy::read(&mut settings, &name)?,
        name,
    };
    Ok((capability, settings.flag("blocking")?))
}

fn subscription(attribute: &Attribute) -> Result<(Subscription, bool)> {
    let Arguments {
        name: pattern,
        mut settings,
    } = arguments(attribute, "#[subscribe(\"lamps.**\")]")?;
    let known = [
        "capacity",
        "overflow",
        "retries",
        "backoff",
        "backoff_max",
        "concurrency",
        "blocking",
    ];
    settings.check("subscribe", &known, &[])?;
    names::pattern(&pattern)?;
    let (backoff, backoff_max) = policy::waits(&mut settings)?;
    let policies = ["drop-oldest", "drop-newest", "keep-latest", "back-pressure"];
    let subscription = Subscription {
        pattern,
        capacity: settings.number("capacity", 1)?,
        overflow: settings.word("overflow", &policies)?,
        concurrency: settings.number("concurrency", 1)?,
        retries: settings.number("retries", 0)?,
        backoff,
        backoff_max,
    };
    Ok((subscription, settings.flag("blocking")?))
}

/// Handlers are numbered, and the manifest must know the same ones as the code.
fn refuse_conditions(method: &ImplItemFn) -> Result<()> {
    let conditional = |attribute: &&Attribute| {
        attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr")
    };
    match method.attrs.iter().find(conditional) {
        Some(attribute) => {
            let message =
                "a handler is there or not: put the condition inside it, or on the whole impl";
            Err(Error::new_spanned(attribute, message))
        }
        None => Ok(()),
    }
}

fn parameters(method: &ImplItemFn) -> Result<Vec<Parameter>> {
    let signature = &method.sig;
    refuse_generics(method)?;
    match signature.receiver() {
        None => {
            let message = "a handler is a method of the one object: its first parameter is `&self`";
            return Err(Error::new_spanned(&signature.ident, message));
        }
        Some(receiver) if receiver.reference.is_none() || receiver.mutability.is_some() => {
            let message = "handlers share the object and run at the same time: take `&self`, and keep what changes in an atomic or a `Mutex`";
            return Err(Error::new_spanned(receiver, message));
        }
        Some(_) => {}
    }
    let mut parameters = Vec::new();
    for argument in &signature.inputs {
        let FnArg::Typed(argument) = argument else {
            continue;
        };
        let ty = &*argument.ty;
        let first = !parameters
            .iter()
            .any(|other| matches!(other, Parameter::Input(_)));
        parameters.push(match ty {
            Type::Reference(reference) if is_context(&reference.elem) => Parameter::Context,
            ty if is_context(ty) => {
                return Err(Error::new_spanned(
                    ty,
                    "the context is lent: take `&Context`",
                ));
            }
            _ if first => Parameter::Input(argument.ty.clone()),
            ty => {
                let message = "a handler has one input: put what belongs together into one struct";
                return Err(Error::new_spanned(ty, message));
            }
        });
    }
    Ok(parameters)
}

fn refuse_generics(method: &ImplItemFn) -> Result<()> {
    let generic = |param: &&GenericParam| !matches!(param, GenericParam::Lifetime(_));
    match method.sig.generics.params.iter().find(generic) {
        Some(param) => {
            let message = "a handler has one input of one type: it cannot be generic";
            Err(Error::new_spanned(param, message))
        }
        None => Ok(()),
    }
}

fn is_context(ty: &Type) -> bool {
    let Type::Path(ty) = ty else { return false };
    ty.path
        .segments
        .last()
        .is_some_and(|segment| segment.ident == "Context")
}

fn is_byte_slice(ty: &Type) -> bool {
    let Type::Reference(reference) = ty else {
        return false;
    };
    let Type::Slice(slice) = &*reference.elem else {
        return false;
    };
    matches!(&*slice.elem, Type::Path(ty) if ty.path.is_ident("u8"))
}

fn output(output: &ReturnType) -> Output {
    let ReturnType::Type(_, ty) = output else {
        return Output {
            ty: parse_quote!(()),
            fallible: false,
        };
    };
    let Type::Path(path) = &**ty else {
        return Output {
            ty: (**ty).clone(),
            fallible: false,
        };
    };
    match path.path.segments.last() {
        Some(last) if last.ident == "Result" => {
            let good = match &last.arguments {
                PathArguments::AngleBracketed(arguments) => match arguments.args.first() {
                    Some(GenericArgument::Type(good)) => good.clone(),
                    _ => parse_quote!(()),
                },
                _ => parse_quote!(()),
            };
            Output {
                ty: good,
                fallible: true,
            }
        }
        _ => Output {
            ty: (**ty).clone(),
            fallible: false,
        },
    }
}
