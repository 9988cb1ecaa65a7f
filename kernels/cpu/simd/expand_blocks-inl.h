// Expands blocks of K formats, of five bits and of IQ4 to float32, to the same
// numbers as Dequantize. The quants of 32 numbers at a time are put together in
// bytes and then multiplied. Scale times quant is exact (at most 18 + 6 bits),
// so one rounding is left. The file is compiled once per target.
#if defined(SUBGEN_KERNELS_CPU_EXPAND_BLOCKS_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef SUBGEN_KERNELS_CPU_EXPAND_BLOCKS_INL_H_
#undef SUBGEN_KERNELS_CPU_EXPAND_BLOCKS_INL_H_
#else
#define SUBGEN_KERNELS_CPU_EXPAND_BLOCKS_INL_H_
#endif

#include <hwy/highway.h>

#include <cstring>

#include "kernels/quant/block_bytes.h"
#include "kernels/quant/iq4_values.h"

HWY_BEFORE_NAMESPACE();
namespace subgen::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using ByteTag = hn::CappedTag<uint8_t, 16>;
constexpr ByteTag kByte;
constexpr int kBytes = hn::MaxLanes(ByteTag());
using Bytes = hn::Vec<ByteTag>;

HWY_INLINE Bytes LoadBytes(const std::byte* from) {
  return hn::LoadU(kByte, reinterpret_cast<const uint8_t*>(from));
}

// Holds 32 quants.
struct Quants {
  HWY_ALIGN uint8_t at[32];

  // of(i) gives quants [i, i + kBytes).
  template <class Of>
  HWY_INLINE void Set(Of of) {
    for (int i = 0; i < 32; i += kBytes) hn::Store(of(i), kByte, at + i);
  }
  template <class Of>
  HWY_INLINE void Or(Of of) {
    for (int i = 0; i < 32; i += kBytes) {
      hn::Store(hn::Or(hn::Load(kByte, at + i), of(i)), kByte, at + i);
    }
  }
  // Sets quants from bytes whose low halves are the first 16, or from those of
  // one half of 32.
  HWY_INLINE void SetNibbles(const std::byte* bytes) {
    Set([&](int i) HWY_ATTR {
      const Bytes both = LoadBytes(bytes + i % 16);
      return i < 16 ? hn::And(both, hn::Set(kByte, 15))
                    : hn::ShiftRight<4>(both);
    });
  }
  HWY_INLINE void SetHalves(const std::byte* bytes, bool upper) {
    Set([&](int i) HWY_ATTR {
      const Bytes both = LoadBytes(bytes + i);
      return upper ? hn::ShiftRight<4>(both)
                   : hn::And(both, hn::Set(kByte, 15));
    });
  }
  // These add fifth bits: from a word of 32, or from bit `bit` of 32 bytes.
  HWY_INLINE void OrFifthWord(const std::byte* word) {
    HWY_ALIGN uint8_t bytes[32], bits[32];
    for (int i = 0; i < 4; ++i) std::memset(bytes + 8 * i, ByteAt(word, i), 8);
    for (int i = 0; i < 32; ++i) bits[i] = 1 << i % 8;
    Or([&](int i) HWY_ATTR {
      return Sixteen(hn::Load(kByte, bytes + i), hn::Load(kByte, bits + i));
    });
  }
  HWY_INLINE void OrFifthBit(const std::byte* bytes, int bit) {
    Or([&](int i) HWY_ATTR {
      return Sixteen(LoadBytes(bytes + i), hn::Set(kByte, 1 << bit));
    });
  }
  // Adds the fifth and sixth bits: bits 2 pair and 2 pair + 1 of 32 bytes.
  HWY_INLINE void OrPair(const std::byte* bytes, int pair) {
    Or([&](int i) HWY_ATTR {
      const Bytes bits =
          hn::And(LoadBytes(bytes + i), hn::Set(kByte, 3 << 2 * pair));
      return pair == 0   ? hn::ShiftLeft<4>(bits)
             : pair == 1 ? hn::ShiftLeft<2>(bits)
             : pair == 2 ? bits
                         : hn::ShiftRight<2>(bits);
    });
  }
  // Replaces indices of the table by its values.
  HWY_INLINE void LookUp() {
#if HWY_TARGET == HWY_SCALAR
    for (uint8_t& quant : at) quant = kIq4Values[quant];
#else
    const Bytes table =
        hn::LoadU(kByte, reinterpret_cast<const uint8_t*>(kIq4Values));
    for (int i = 0; i < 32; i += kBytes) {
      hn::Store(hn::TableLookupBytes(table, hn::Load(kByte, at + i)), kByte,
                at + i);
    }
#endif
  }
  // Expands `count` numbers from `first` on, as signed bytes: scale x + offset.
  HWY_INLINE void Scale(int first, int count, float scale, float offset,
                        float* out) const {
    const hn::CappedTag<float, 16> real;
    const hn::RebindToSigned<decltype(real)> integer;
    const hn::Rebind<int8_t, decltype(real)> byte;
    for (int i = 0; i < count; i += hn::MaxLanes(real)) {
      const auto* const from = reinterpret_cast<const int8_t*>(at + first + i);
      const auto x =
          hn::ConvertTo(real, hn::PromoteTo(integer, hn::LoadU(byte, from)));
      hn::StoreU(hn::MulAdd(x, hn::Set(real, scale), hn::Set(real, offset)),
                 real, out + first + i);
    }
  }

 private:
  // Returns 16 where the bit is set.
  static HWY_INLINE Bytes Sixteen(Bytes bytes, Bytes bit) {
    return hn::IfThenElseZero(hn::TestBit(bytes, bit), hn::Set(kByte, 16));
  }
};

HWY_INLINE void ExpandQ5_0(const std::byte* block, float* out) {
  Quants quants;
  quants.SetNibbles(block + 6);
  quants.OrFifthWord(block + 2);
  const float scale = Float16At(block);
  quants.Scale(0, 32, scale, -16.0f * scale, out);
}

HWY_INLINE void ExpandQ5_1(const std::byte* block, float* out) {
  Quants quants;
  quants.SetNibbles(block + 8);
  quants.OrFifthWord(block + 4);
  quants.Scale(0, 32, Float16At(block), Float16At(block + 2), out);
}

HWY_INLINE void ExpandIQ4_NL(const std::byte* block, float* out) {
  Quants quants;
  quants.SetNibbles(block + 2);
  quants.LookUp();
  quants.Scale(0, 32, Float16At(block), 0.0f, out);
}

HWY_INLINE void ExpandIQ4_XS(const std::byte* block, float* out) {
  const float scale = Float16At(block);
  for (int s = 0; s < 8; ++s) {
    Quants quants;
    quants.SetNibbles(block + 8 + 16 * s);
    quants.LookUp();
    const int low = ByteAt(block, 4 + s / 2) >> s % 2 * 4 & 15;
    const int high = ByteAt(block, 2 + s / 4) >> s % 4 * 2 & 3;
    quants.Scale(0, 32, scale * ((low | high << 4) - 32), 0.0f, out + 32 * s);
  }
}

// Expands a block; fifth_bits: null where there are none.
HWY_INLINE void ExpandK(const std::byte* block, const std::byte* fifth_bits,
                        const std::byte* nibbles, float* out) {
  const float scale = Float16At(block), minimum = Float16At(block + 2);
  for (int s = 0; s < 8; ++s) {
    Quants quants;
    quants.SetHalves(nibbles + 32 * (s / 2), s % 2 == 1);
    if (fifth_bits != nullptr) quants.OrFifthBit(fifth_bits, s);
    const SubBlockScales sub = SubBlock(block + 4, s);
    quants.Scale(0, 32, scale * sub.scale, -(minimum * sub.minimum),
                 out + 32 * s);
  }
}

HWY_INLINE void ExpandQ4_K(const std::byte* block, float* out) {
  ExpandK(block, nullptr, block + 16, out);
}

HWY_INLINE void ExpandQ5_K(const std::byte* block, float* out) {
  ExpandK(block, block + 16, block + 48, out);
}

HWY_INLINE void ExpandQ6_K(const std::byte* block, float* out) {
  const float scale = Float16At(block + 208);
  for (int s = 0; s < 8; ++s) {
    Quants quants;
    quants.SetHalves(block + s / 4 * 64 + s % 2 * 32, s % 4 >= 2);
    quants.OrPair(block + 128 + s / 4 * 32, s % 4);
    for (int half = 0; half < 2; ++half) {
      const auto sub = static_cast<int8_t>(ByteAt(block, 192 + 2 * s + half));
      quants.Scale(16 * half, 16, scale * sub, -32.0f * (scale * sub),
                   out + 32 * s);
    }
  }
}

}  // namespace subgen::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
