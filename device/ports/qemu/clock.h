#ifndef MOTEYE_CLOCK_H
#define MOTEYE_CLOCK_H

void clock_start(void);
void systick_handler(void);

#endif
