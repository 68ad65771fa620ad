//! What the [`tentacle`](crate::tentacle) attribute expands to: the author's type behind the
//! functions of the ABI. Not for use by hand.

mod calls;
mod deliveries;
mod note;

use std::sync::Arc;

use octa_plugin_abi::{
    self as abi, CreateRequest, PluginFunctions, PluginFunctions_Ref, Root, Root_Ref,
    abi_stable::{
        library::{CheckTypeLayout, LibHeader, RootModuleResult},
        prefix_type::{PrefixRefTrait, WithMetadata},
        sabi_types::StaticRef,
        std_types::{RResult, RSlice},
    },
    control, create_flag,
};

pub use self::{
    calls::{Call, CallHandler},
    deliveries::{Delivery, DeliveryHandler},
    note::{Note, is_plugin_name},
};
use crate::{
    Context, Payload, Tentacle,
    call::CallInfo,
    context::Identity,
    error::{Error, ErrorKind, Result},
    guard::{guarded, guarded_quietly, panic_hook},
    host::HostHandle,
    io::Input,
    log_forwarder,
    payload::use_buffers_of,
    work::{Answer, Desk, write_reply},
};

/// The compiler that built this library, as `rustc --version` says.
pub const COMPILER: &str = env!("OCTA_COMPILER");
/// The target it was built for.
pub const TARGET: &str = env!("OCTA_TARGET");
/// What a panic does in it.
pub const PANIC: &str = if cfg!(panic = "abort") {
    "abort"
} else {
    "unwind"
};

/// A tentacle with everything its attribute declares.
pub trait Exported: Tentacle {
    /// The manifest, as JSON.
    const MANIFEST: &'static str;
    /// The handlers of capabilities, in the order of the manifest.
    const CALLS: &'static [CallHandler<Self>];
    /// The handlers of subscriptions, in the order of the manifest.
    const DELIVERIES: &'static [DeliveryHandler<Self>];
    /// The version of the state that `save` writes.
    const STATE_VERSION: Option<u32>;

    /// Live bytes and allocations of the library, where they are counted.
    fn live_memory() -> Option<(u64, u64)>;
}

/// The root module of a tentacle's library: constants only.
pub const fn root<T: Exported>() -> Root_Ref {
    Root_Ref(
        // SAFETY: a constant, so it lives for ever.
        unsafe { StaticRef::from_raw(Tables::<T>::ROOT) }.as_prefix(),
    )
}

/// The header that the library exports.
pub const fn header<T: Exported>() -> LibHeader {
    // SAFETY: `construct` returns a reference to a root module, erased.
    unsafe { LibHeader::from_constructor::<Root_Ref>(construct::<T>, CheckTypeLayout::Yes) }
}

extern "C" fn construct<T: Exported>() -> RootModuleResult {
    // SAFETY: erased here, and cast back by who knows from the header what it is.
    RResult::ROk(unsafe { root::<T>().to_prefix_ref().cast() })
}

/// A tentacle that is part of the program itself, as in the tests of a plugin.
#[expect(missing_debug_implementations, reason = "a table of functions")]
pub struct Linked {
    /// What the header of a library would lead to.
    pub root: Root_Ref,
    /// What the note of a library would hold.
    pub manifest: String,
}

/// The tentacle as part of this program.
pub fn linked<T: Exported>() -> Linked {
    Linked {
        root: root::<T>(),
        manifest: T::MANIFEST.to_owned(),
    }
}

/// A place for the constants of one tentacle.
struct Tables<T>(T);

impl<T: Exported> Tables<T> {
    const PLUGIN: &'static WithMetadata<PluginFunctions> = &WithMetadata::new(PluginFunctions {
        create: create::<T>,
        destroy: destroy::<T>,
        call: calls::call::<T>,
        deliver: deliveries::deliver::<T>,
        control: control::<T>,
    });

    const ROOT: &'static WithMetadata<Root> = &WithMetadata::new(Root {
        plugin: PluginFunctions_Ref(
            // SAFETY: a constant, so it lives for ever.
            unsafe { StaticRef::from_raw(Self::PLUGIN) }.as_prefix(),
        ),
    });
}

/// What `create` makes and the host holds.
struct Instance<T> {
    tentacle: T,
    identity: Arc<Identity>,
}

impl<T> Instance<T> {
    /// The instance behind the host's pointer.
    ///
    /// # Safety
    ///
    /// `instance` came from `create::<T>` and is not destroyed before the last use of the
    /// result. `'static` is what futures need that hold it; the host ends each of them first.
    unsafe fn behind(instance: *const ()) -> &'static Self {
        // SAFETY: the caller's promise.
        unsafe { &*instance.cast::<Self>() }
    }

    /// A context that borrows the instance's identity.
    fn context(&'static self, info: CallInfo) -> Context {
        // SAFETY: contexts live in handlers and futures, which end before the instance.
        unsafe { Context::borrowed(&self.identity, info) }
    }
}

extern "C" fn create<T: Exported>(
    request: &CreateRequest<'_>,
    instance: &mut *const (),
    reply: &mut abi::Reply,
) -> u32 {
    // SAFETY: `create` is handed a reference to the host.
    let host = unsafe { HostHandle::from_abi(request.host) };
    if request.flags & create_flag::LINKED == 0 {
        use_buffers_of(host.functions());
        log_forwarder::install(&host, request.log_level);
        std::panic::set_hook(Box::new(panic_hook));
    }
    let made = guarded(|| make::<T>(request)).and_then(|made| made);
    if made.is_err() {
        log_forwarder::remove(&host);
    }
    let answer = made.map(|tentacle| {
        let name = request.name.as_str().to_owned();
        let identity = Arc::new(Identity { host, name });
        *instance = Box::into_raw(Box::new(Instance { tentacle, identity })).cast();
        Payload::empty()
    });
    write_reply(reply, answer.into());
    reply.code
}

fn make<T: Exported>(request: &CreateRequest<'_>) -> Result<T> {
    let config = <T::Config as Input>::decode(request.config.bytes.as_slice(), &Payload::empty)
        .map_err(|e| e.context("the configuration"))?;
    T::create(config)
}

extern "C" fn destroy<T: Exported>(instance: *const ()) {
    // SAFETY: boxed by `create`, destroyed once, after every future of it is gone.
    let instance = unsafe { Box::from_raw(instance.cast::<Instance<T>>().cast_mut()) };
    let Instance { tentacle, identity } = *instance;
    guarded_quietly("dropping the plugin", move || drop(tentacle));
    log_forwarder::remove(&identity.host);
    drop(identity);
}

extern "C" fn control<T: Exported>(
    instance: *const (),
    what: u32,
    number: u64,
    argument: &abi::Bytes<'_>,
    waker: &abi::Waker,
    slot: &abi::Slot,
    future: &mut abi::Future,
    reply: &mut abi::Reply,
) -> u32 {
    // SAFETY: the host controls an instance only between `create` and `destroy`.
    let instance = unsafe { Instance::<T>::behind(instance) };
    let desk = Desk {
        waker,
        slot,
        future,
        reply,
    };
    let tentacle = &instance.tentacle;
    let ctx = instance.context(CallInfo::none());
    match what {
        control::START => desk.start(async move { finish(tentacle.start(&ctx).await) }),
        control::STOP => desk.start(async move { finish(tentacle.stop(&ctx).await) }),
        _ => {
            // SAFETY: the host's promise about the argument.
            let argument = unsafe { Payload::keep(argument) };
            let answered = guarded(|| answer_control(tentacle, &ctx, what, number, argument));
            desk.ready(answered.unwrap_or_else(|panic| Err(panic).into()))
        }
    }
}

fn finish(result: Result<()>) -> Answer {
    result.map(|()| Payload::empty()).into()
}

fn answer_control<T: Exported>(
    tentacle: &T,
    ctx: &Context,
    what: u32,
    number: u64,
    argument: Payload,
) -> Answer {
    match what {
        control::HEALTH => Answer {
            number: tentacle.health().to_bits(),
            ..finish(Ok(()))
        },
        control::SAVE => {
            let number = T::STATE_VERSION.unwrap_or(0).into();
            Answer {
                number,
                ..tentacle.save(ctx).into()
            }
        }
        control::RESTORE => {
            let version = u32::try_from(number).unwrap_or(u32::MAX);
            finish(tentacle.restore(ctx, version, argument))
        }
        control::DESCRIBE => Ok(Payload::copy_from_slice(T::MANIFEST.as_bytes())).into(),
        control::USAGE => usage::<T>().into(),
        _ => Err(Error::new(
            ErrorKind::Unsupported,
            format!("control {what} is not known here"),
        ))
        .into(),
    }
}

fn usage<T: Exported>() -> Result<Payload> {
    let Some((bytes, allocations)) = T::live_memory() else {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "this plugin brings its own allocator",
        ));
    };
    Payload::json(&serde_json::json!({ "allocated_bytes": bytes, "allocations": allocations }))
}

/// Reads the slice of a delivery.
fn events<'a>(events: RSlice<'a, abi::Event<'a>>) -> &'a [abi::Event<'a>] {
    events.as_slice()
}

/// No handler has this number: the host read another manifest.
fn no_handler(kind: &str, handler: u32) -> Answer {
    let message = format!("{kind} {handler} is not in this library");
    Err(Error::new(ErrorKind::Unsupported, message)).into()
}
