//! Whether this process can use a device.

use npublas::config::Offload;

/// Whether there is a device and every supported call goes to it. Says so loudly where not, and
/// fails where a skip is forbidden.
pub fn ready() -> bool {
    let why = match npublas::runtime::npu() {
        Err(reason) => format!("no device: {reason}"),
        Ok(_) if npublas::runtime::config().offload != Offload::Always => {
            "NPUBLAS_OFFLOAD is not `always`".into()
        }
        Ok(_) => return true,
    };
    assert!(std::env::var_os("NPUBLAS_FORBID_SKIP").is_none(), "must not be skipped: {why}");
    eprintln!("SKIPPED: {why}");
    false
}
