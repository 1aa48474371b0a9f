#include "../box_span.h"
#include "box_resize_rgb565_m55.h"

#if MOTEYE_M55

#include <arm_mve.h>

#define MAX_WIDTH 640u
#define MAX_BOXES 256u // a row
#define MAX_PIXELS 64u // of a box; then every number below fits 32 bits, and the division is exact

enum { RED, GREEN, BLUE, COLOURS };

// Sums of a column's pixels, one colour behind the other: rows * 63 fits 16 bits. Lanes that do not
// count read what lies behind a row.
typedef uint16_t sums_t[COLOURS][MAX_WIDTH + MAX_PIXELS];

static void sum_columns(const uint16_t *from, uint32_t width, uint32_t rows, sums_t out) {
    const uint16x8_t low_five = vdupq_n_u16(31), low_six = vdupq_n_u16(63);
    for (uint32_t x = 0; x < width; x += 8) {
        mve_pred16_t active = vctp16q(width - x);
        uint16x8_t red = vdupq_n_u16(0), green = red, blue = red;
        const uint16_t *pixel = from + x;
        for (uint32_t y = rows; y > 0; y--, pixel += width) {
            uint16x8_t p = vldrhq_z_u16(pixel, active);
            red = vaddq_u16(red, vshrq_n_u16(p, 11));
            green = vaddq_u16(green, vandq_u16(vshrq_n_u16(p, 5), low_six));
            blue = vaddq_u16(blue, vandq_u16(p, low_five));
        }
        vstrhq_p_u16(out[RED] + x, red, active);
        vstrhq_p_u16(out[GREEN] + x, green, active);
        vstrhq_p_u16(out[BLUE] + x, blue, active);
    }
}

// (255 * sum + whole / 2) / whole, whole = pixels * levels, is the high half of a product with
// 2^32 / whole, rounded up: its error is below 1 / whole, since the dividend is below 2^20.
typedef struct {
    uint32_t half, inverse;
} division_t;

static division_t division_of(uint32_t pixels, uint32_t levels) {
    uint32_t whole = pixels * levels;
    return (division_t){whole / 2, UINT32_MAX / whole + 1};
}

static inline uint32x4_t mean_of(uint32x4_t sum, uint32x4_t half, uint32x4_t inverse) {
    return vmulhq_u32(vaddq_u32(vmulq_n_u32(sum, 255), half), inverse);
}

// A row of boxes of `least` columns, or one more; box x begins at edges[x].
typedef struct {
    uint32_t count, least;
    const uint16_t *edges;
} row_t;

static void write_means(const row_t *row, uint32_t rows, const sums_t sums, uint8_t *dst) {
    const division_t five = division_of(rows * row->least, 31);
    const division_t five_more = division_of(rows * (row->least + 1), 31);
    const division_t six = division_of(rows * row->least, 63);
    const division_t six_more = division_of(rows * (row->least + 1), 63);
    const uint32x4_t places = vmulq_n_u32(vidupq_n_u32(0, 1), 3);
    for (uint32_t x = 0; x < row->count; x += 4, dst += 12) {
        uint32x4_t at = vldrhq_u32(row->edges + x);
        mve_pred16_t more =
            vcmphiq_n_u32(vsubq_u32(vldrhq_u32(row->edges + x + 1), at), row->least);
        uint32x4_t red = vldrhq_gather_shifted_offset_u32(sums[RED], at);
        uint32x4_t green = vldrhq_gather_shifted_offset_u32(sums[GREEN], at);
        uint32x4_t blue = vldrhq_gather_shifted_offset_u32(sums[BLUE], at);
        for (uint32_t i = row->least; i > 1; i--) {
            at = vaddq_n_u32(at, 1);
            red = vaddq_u32(red, vldrhq_gather_shifted_offset_u32(sums[RED], at));
            green = vaddq_u32(green, vldrhq_gather_shifted_offset_u32(sums[GREEN], at));
            blue = vaddq_u32(blue, vldrhq_gather_shifted_offset_u32(sums[BLUE], at));
        }
        at = vaddq_n_u32(at, 1);
        red = vaddq_u32(red, vldrhq_gather_shifted_offset_z_u32(sums[RED], at, more));
        green = vaddq_u32(green, vldrhq_gather_shifted_offset_z_u32(sums[GREEN], at, more));
        blue = vaddq_u32(blue, vldrhq_gather_shifted_offset_z_u32(sums[BLUE], at, more));
        uint32x4_t half = vpselq_u32(vdupq_n_u32(five_more.half), vdupq_n_u32(five.half), more);
        uint32x4_t inverse =
            vpselq_u32(vdupq_n_u32(five_more.inverse), vdupq_n_u32(five.inverse), more);
        red = mean_of(red, half, inverse);
        blue = mean_of(blue, half, inverse);
        half = vpselq_u32(vdupq_n_u32(six_more.half), vdupq_n_u32(six.half), more);
        inverse = vpselq_u32(vdupq_n_u32(six_more.inverse), vdupq_n_u32(six.inverse), more);
        green = mean_of(green, half, inverse);
        mve_pred16_t active = vctp32q(row->count - x);
        vstrbq_scatter_offset_p_u32(dst, places, red, active);
        vstrbq_scatter_offset_p_u32(dst + 1, places, green, active);
        vstrbq_scatter_offset_p_u32(dst + 2, places, blue, active);
    }
}

bool box_resize_rgb565_m55(const uint16_t *src, uint32_t width, uint32_t height, uint8_t *dst,
    uint32_t dst_width, uint32_t dst_height) {
    uint32_t least = width / dst_width > 0 ? width / dst_width : 1;
    if (width > MAX_WIDTH || dst_width > MAX_BOXES ||
        (height / dst_height + 1) * (least + 1) > MAX_PIXELS) {
        return false;
    }
    uint16_t edges[MAX_BOXES + 5]; // those behind the last box are the last edge
    for (uint32_t x = 0; x < dst_width + 5; x++) {
        edges[x] = (uint16_t)((x < dst_width ? x : dst_width) * width / dst_width);
    }
    const row_t row = {dst_width, least, edges};
    sums_t sums;
    for (uint32_t y = 0; y < dst_height; y++, dst += 3 * dst_width) {
        span_t rows = span_of(y, height, dst_height);
        sum_columns(src + rows.first * width, width, rows.end - rows.first, sums);
        write_means(&row, rows.end - rows.first, sums, dst);
    }
    return true;
}

#endif
