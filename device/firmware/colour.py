# How much colour a frame has: 0 for a grey one, as infrared light gives. The host keeps what it
# remembers by day and by infrared light apart.
from micropython import const

_BLOCKS = const(4)  # a side
_SAMPLES = const(4)  # a side of a block: their mean takes the sensor's noise out


# Percent, 0..100, of an RGB888 frame: over 4 x 4 blocks, what lies between the strongest and the
# weakest mean channel, as a share of the strongest.
def colour_percent(pixels, width, height):
    spread = most = 0
    for block in range(_BLOCKS * _BLOCKS):
        red = green = blue = 0
        for sample in range(_SAMPLES * _SAMPLES):
            row = block // _BLOCKS * _SAMPLES + sample // _SAMPLES
            column = block % _BLOCKS * _SAMPLES + sample % _SAMPLES
            y = (2 * row + 1) * height // (2 * _BLOCKS * _SAMPLES)
            x = (2 * column + 1) * width // (2 * _BLOCKS * _SAMPLES)
            at = 3 * (y * width + x)
            red += pixels[at]
            green += pixels[at + 1]
            blue += pixels[at + 2]
        strongest = max(red, green, blue)
        spread += strongest - min(red, green, blue)
        most += strongest
    return 100 * spread // most if most else 0
