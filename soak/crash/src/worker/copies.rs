//! What goes on beside the writers: backups, and a standby that follows.

use std::time::Duration;

use anyhow::Result;
use octa_kernel::Kernel;
use octa_kernel::storage::{self, Storage};

use super::teller::Teller;
use crate::store::Store;
use crate::word::Word;

/// How often it is looked where the standby is.
const GLANCE: Duration = Duration::from_millis(2);

/// Makes one backup after another until this process ends.
pub(super) async fn back_up(
    storage: &Storage,
    store: &Store,
    life: u32,
    teller: &Teller,
) -> Result<()> {
    for number in life * 1_000.. {
        teller.tell(&Word::Backing(number));
        storage::backup(&**storage.adapter(), &store.backup(number), false, |_| ()).await?;
        teller.tell(&Word::Backed(number));
    }
    Ok(())
}

/// Tells how far the standby is, until this process ends.
pub(super) async fn watch_standby(kernel: &Kernel, teller: &Teller) {
    let mut told = 0;
    loop {
        let status = kernel.standby().await;
        let version = status.and_then(|status| status.version).unwrap_or(0);
        if version > told {
            teller.tell(&Word::Followed(version));
            told = version;
        }
        tokio::time::sleep(GLANCE).await;
    }
}
