// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The products that the model can be: everything that differs between them is in one table.

/// Identification and features of one GPU as built into one SoC.
#[derive(Debug)]
pub struct Product {
    /// Name by which it is chosen.
    pub name: &'static str,
    /// GPU_ID.
    pub gpu_id: u32,
    /// CSF_ID.
    pub csf_id: u32,
    /// REVIDR.
    pub rev_id: u32,
    /// L2_FEATURES.
    pub l2_features: u32,
    /// CORE_FEATURES.
    pub core_features: u32,
    /// TILER_FEATURES.
    pub tiler_features: u32,
    /// MEM_FEATURES.
    pub mem_features: u32,
    /// MMU_FEATURES: VA bits in 7:0, PA bits in 15:8.
    pub mmu_features: u32,
    /// AS_PRESENT.
    pub as_present: u32,
    /// THREAD_MAX_THREADS.
    pub max_threads: u32,
    /// THREAD_MAX_WORKGROUP_SIZE.
    pub max_workgroup_size: u32,
    /// THREAD_MAX_BARRIER_SIZE.
    pub max_barrier_size: u32,
    /// THREAD_FEATURES.
    pub thread_features: u32,
    /// TEXTURE_FEATURES_0 to 3.
    pub texture_features: [u32; 4],
    /// SHADER_PRESENT.
    pub shader_present: u64,
    /// TILER_PRESENT.
    pub tiler_present: u64,
    /// L2_PRESENT.
    pub l2_present: u64,
    /// COHERENCY_FEATURES.
    pub coherency_features: u32,
    /// GPU_FEATURES, since architecture 11.
    pub gpu_features: u64,
    /// ASN_HASH, where the SoC's memory needs another hash than that of the GPU.
    pub asn_hash: Option<[u32; 3]>,
    /// Operating points: highest core clock in Hz for a voltage in microvolts, in rising order.
    pub operating_points: &'static [(u64, u32)],
    /// Command stream groups that the firmware may use.
    pub groups: u8,
    /// Command streams in each group.
    pub streams: u8,
    /// Registers of a command stream.
    pub stream_registers: u8,
    /// Scoreboard entries of a command stream.
    pub scoreboards: u8,
}

/// GPU_FEATURES: ray traversal units, which shader cores share their power with.
const RAY_TRAVERSAL: u64 = 1 << 5;

/// First architecture with a hash for the L2 that can be set.
const ARCH_ASN_HASH: u32 = 11;

/// First architecture with a block of its own for power and reset.
const ARCH_PWR: u32 = 14;

impl Product {
    /// All of them.
    pub const ALL: [&'static Product; 4] = [&G610_RK3588, &G310, &G925_MT8196, &G1_ULTRA];

    /// The one of a name.
    pub fn find(name: &str) -> Option<&'static Product> {
        Self::ALL.into_iter().find(|product| product.name == name)
    }

    /// Whether power and reset are controlled through the PWR block.
    pub const fn has_pwr(&self) -> bool {
        self.gpu_id >> 28 >= ARCH_PWR
    }

    /// Whether the hash by which addresses are spread over L2 slices can be set.
    pub const fn has_asn_hash(&self) -> bool {
        self.gpu_id >> 28 >= ARCH_ASN_HASH
    }

    /// Whether there are ray traversal units.
    pub const fn has_ray_units(&self) -> bool {
        self.gpu_features & RAY_TRAVERSAL != 0
    }

    /// Width of virtual addresses in bits.
    pub const fn va_bits(&self) -> u32 {
        self.mmu_features & 0xff
    }

    /// The lowest voltage in microvolts for a core clock in Hz, if there is any.
    pub fn voltage_for(&self, hz: u64) -> Option<u32> {
        self.operating_points
            .iter()
            .find(|(limit, _)| hz <= *limit)
            .map(|&(_, uv)| uv)
    }

    /// Width of physical addresses in bits.
    pub const fn pa_bits(&self) -> u32 {
        (self.mmu_features >> 8) & 0xff
    }
}

/// What the GPUs of the modelled SoC run at.
const OPERATING_POINTS: &[(u64, u32)] = &[
    (600_000_000, 675_000),
    (700_000_000, 700_000),
    (800_000_000, 750_000),
    (900_000_000, 800_000),
    (1_000_000_000, 850_000),
];

/// The Mali-G610 MP4 of the RK3588.
///
/// Ids and features are those that the chip shows to its kernel driver; TEXTURE_FEATURES_1 to 3
/// are not documented publicly and read as zero.
pub static G610_RK3588: Product = Product {
    name: "g610",
    gpu_id: 0xa867_0005,
    csf_id: 0x040a_0412,
    rev_id: 0,
    l2_features: 0x0712_0306,
    core_features: 0,
    tiler_features: 0x809,
    mem_features: 0x301,
    mmu_features: 0x2830,
    as_present: 0xff,
    max_threads: 2048,
    max_workgroup_size: 1024,
    max_barrier_size: 1024,
    thread_features: 0x0401_0000,
    texture_features: [0xc1ff_ff9e, 0, 0, 0],
    shader_present: 0x5_0005,
    tiler_present: 1,
    l2_present: 1,
    coherency_features: 1,
    gpu_features: 0,
    asn_hash: None,
    operating_points: OPERATING_POINTS,
    groups: 8,
    streams: 8,
    stream_registers: 96,
    scoreboards: 8,
};

/// A Mali-G310 with two cores, as small as one gets: few address spaces and threads.
///
/// The id is that of a G310 r0p0. What else its registers show is not documented publicly: the
/// smallest values that are of use.
pub static G310: Product = Product {
    name: "g310",
    gpu_id: 0xac74_0000,
    csf_id: 0x040a_0c12,
    rev_id: 0,
    l2_features: 0x0710_0206,
    core_features: 0x1,
    tiler_features: 0x809,
    mem_features: 0x1,
    mmu_features: 0x2828,
    as_present: 0xf,
    max_threads: 1024,
    max_workgroup_size: 512,
    max_barrier_size: 512,
    thread_features: 0x0401_0000,
    texture_features: [0xc1ff_ff9e, 0, 0, 0],
    shader_present: 0x3,
    tiler_present: 1,
    l2_present: 1,
    coherency_features: 1,
    gpu_features: 0,
    asn_hash: None,
    operating_points: OPERATING_POINTS,
    groups: 8,
    streams: 8,
    stream_registers: 96,
    scoreboards: 8,
};

/// A GPU with twelve cores, of which nothing is documented publicly but its ids: values as those of the G610,
/// with more of everything.
const TWELVE_CORES: Product = Product {
    name: "",
    gpu_id: 0,
    csf_id: 0,
    rev_id: 0,
    l2_features: 0x0714_0306,
    core_features: 0,
    tiler_features: 0x809,
    mem_features: 0x301,
    mmu_features: 0x2830,
    as_present: 0xffff,
    max_threads: 4096,
    max_workgroup_size: 1024,
    max_barrier_size: 1024,
    thread_features: 0x0401_0000,
    texture_features: [0xc1ff_ff9e, 0, 0, 0],
    shader_present: 0x0707_0707,
    tiler_present: 1,
    l2_present: 1,
    coherency_features: 1,
    gpu_features: 1 << 2,
    asn_hash: None,
    operating_points: OPERATING_POINTS,
    groups: 8,
    streams: 8,
    stream_registers: 96,
    scoreboards: 8,
};

/// The Immortalis-G925 MC12 of the MT8196, whose memory needs a hash of its own: architecture 13.8.
pub static G925_MT8196: Product = Product {
    name: "g925",
    gpu_id: 0xd830_0000,
    csf_id: 0x040d_0812,
    asn_hash: Some([0xb, 0xe, 0]),
    ..TWELVE_CORES
};

/// A Mali-G1-Ultra with twelve cores: architecture 14, with the PWR block and ray units. The id is that which
/// Mesa knows for a G1.
pub static G1_ULTRA: Product = Product {
    name: "g1",
    gpu_id: 0xe830_0000,
    csf_id: 0x040e_0812,
    l2_features: 0x0714_0406,
    gpu_features: TWELVE_CORES.gpu_features | RAY_TRAVERSAL,
    ..TWELVE_CORES
};
