//! Rockchip RK3588: three cores of 1,024 int8 multiply-accumulates per cycle.
