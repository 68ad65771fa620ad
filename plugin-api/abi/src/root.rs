//! The one symbol of a plugin: its root module, behind the header of `abi_stable`, which
//! carries the versions and layouts that are checked before anything is called.

use abi_stable::{
    StableAbi, declare_root_module_statics, library::RootModule, package_version_strings,
    sabi_types::VersionStrings,
};

use crate::PluginFunctions_Ref;

/// The root module. Made of constants: nothing runs and nothing is allocated to get it.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = Root_Ref)))]
#[sabi(missing_field(option))]
pub struct Root {
    /// The plugin's functions.
    #[sabi(last_prefix_field)]
    pub plugin: PluginFunctions_Ref,
}

impl RootModule for Root_Ref {
    declare_root_module_statics! {Root_Ref}
    const BASE_NAME: &'static str = "octa_plugin";
    const NAME: &'static str = "octa_plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}
