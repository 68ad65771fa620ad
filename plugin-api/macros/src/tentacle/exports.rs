//! What the compiled library shows to the outside: the header, the note, the allocator. A build
//! for tests shows none of it, so that several plugins can be linked into one.

use proc_macro2::TokenStream;
use quote::quote;

/// The name of the symbol under which `abi_stable` looks for the header.
const HEADER_NAME: &str = "_1as_0lib_1header_0root_bmodule_bloader";

/// The items that export the type `this`, whose manifest is the `Pieces` of this scope.
pub(crate) fn items(this: &syn::Type, own_allocator: bool) -> TokenStream {
    let note = note(this);
    let allocator = (!own_allocator).then(allocator);
    quote! {
        #note
        #allocator

        #[cfg(not(test))]
        #[expect(unsafe_code, reason = "the host finds the header by its name")]
        // SAFETY: no other symbol of a library has this name, which abi_stable made up for it.
        #[unsafe(export_name = #HEADER_NAME)]
        static HEADER: ::octa_plugin_api::abi::abi_stable::library::LibHeader =
            ::octa_plugin_api::export::header::<#this>();

        // In a build for tests nothing else uses the handlers, unless a test runs the plugin.
        #[cfg(test)]
        const _: fn() -> ::octa_plugin_api::export::Linked =
            ::octa_plugin_api::export::linked::<#this>;
    }
}

fn note(this: &syn::Type) -> TokenStream {
    let section = |condition: TokenStream, name: &str| {
        quote! {
            #[cfg_attr(all(not(test), #condition), unsafe(link_section = #name))]
        }
    };
    let elf = section(
        quote!(not(any(target_vendor = "apple", windows))),
        ".note.octa",
    );
    let macho = section(quote!(target_vendor = "apple"), "__DATA,__octa");
    let pe = section(quote!(windows), ".octa");
    quote! {
        const LENGTH: usize = ::octa_plugin_api::schema::length(<#this as Pieces>::PIECES);

        #[cfg_attr(not(test), used)]
        #[cfg_attr(not(test), expect(unsafe_code, reason = "the note has a section of its own"))]
        #elf
        #macho
        #pe
        static NOTE: ::octa_plugin_api::export::Note<LENGTH> =
            ::octa_plugin_api::export::Note::new(<#this as Pieces>::PIECES);
    }
}

fn allocator() -> TokenStream {
    quote! {
        #[cfg(not(test))]
        #[global_allocator]
        static ALLOCATOR: ::octa_plugin_api::CountingAllocator =
            ::octa_plugin_api::CountingAllocator::new();
    }
}

/// The body of `Exported::live_memory`.
pub(crate) fn live_memory(own_allocator: bool) -> TokenStream {
    if own_allocator {
        return quote!(::core::option::Option::None);
    }
    quote! {
        #[cfg(not(test))]
        {
            ::core::option::Option::Some(ALLOCATOR.live())
        }
        #[cfg(test)]
        {
            ::core::option::Option::None
        }
    }
}
