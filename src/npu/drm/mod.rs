//! The kernel drivers that this library speaks to, through DRM ioctls.
