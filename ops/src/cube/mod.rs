//! Operations on every CubeCL runtime: wgpu, CUDA, ROCm, Metal.

use burn_cubecl::CubeBackend;

use crate::SpartaBackend;

impl SpartaBackend for CubeBackend {}
