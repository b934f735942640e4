/* SPDX-License-Identifier: MIT */
#ifndef RACES_CASES_H
#define RACES_CASES_H

#include "race.h"

/* Of the program; ends with NULL. */
extern const struct race_case *const race_cases[];
extern const struct race_case race_action, race_timer, race_data, race_queue, race_pipe, race_ring;

/* driver.c: the driver's runtime without its workers. */
bool driver_work(void);
/** A clock of the cases': it stands still until somebody moves it. */
void driver_clock_set(void);
uint64_t driver_now(void);
void driver_pass(uint64_t ns);
/** To the next deadline that there may be. False: it stands beyond all of them. */
bool driver_time(void);
/** After the schedule: all deadlines pass, and all work is done. */
void driver_rest(void);

#endif /* RACES_CASES_H */
