/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"
#include "rensei_turn.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOMENT apr_time_from_msec(50)
#define LONG apr_time_from_sec(5)

static rensei_turn_t *shared;

static void begin(void)
{
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(shared, MAP_FAILED);
    rensei_turn_init(shared);
    rensei_turn_use(shared);
}

START_TEST(one_at_a_time)
{
    begin();
    ck_assert_int_eq(rensei_turn_take(0), 1);
    ck_assert_int_eq(rensei_turn_take(0), 0);
    ck_assert_int_eq(rensei_turn_take(MOMENT), 0);
    rensei_turn_give();
    ck_assert_int_eq(rensei_turn_take(0), 1);
    rensei_turn_give();
}
END_TEST

/* Another process has it, alive: it is waited for, and not taken over. */
START_TEST(across_processes)
{
    pid_t child;
    int status;

    begin();
    ck_assert_int_eq(rensei_turn_take(0), 1);
    child = fork();
    if (child == 0) {
        _exit(rensei_turn_take(apr_time_from_msec(250)));
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    rensei_turn_give();
    child = fork();
    if (child == 0) {
        _exit(rensei_turn_take(LONG));
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(WEXITSTATUS(status), 1);
}
END_TEST

/* A process that was killed has it: whoever waits takes it over, and then it
 * is one turn as before. */
START_TEST(the_holder_died)
{
    pid_t child;
    int status;

    begin();
    child = fork();
    if (child == 0) {
        _exit(rensei_turn_take(0));
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(WEXITSTATUS(status), 1);
    ck_assert_int_eq(rensei_turn_take(0), 0);
    ck_assert_int_eq(rensei_turn_take(LONG), 1);
    ck_assert_int_eq(rensei_turn_take(MOMENT), 0);
    rensei_turn_give();
    ck_assert_int_eq(rensei_turn_take(0), 1);
}
END_TEST

/* Its holder's process id is somebody else's by now, who is alive, and will
 * never give it back. */
START_TEST(the_holders_name_is_anothers)
{
    begin();
    ck_assert_int_eq(rensei_turn_take(0), 1);
    ck_assert_int_eq(rensei_turn_take(apr_time_from_msec(250)), 0);
    shared->since -= apr_time_from_sec(31);
    ck_assert_int_eq(rensei_turn_take(LONG), 1);
    ck_assert_int_eq(rensei_turn_take(apr_time_from_msec(250)), 0);
    rensei_turn_give();
    ck_assert_int_eq(rensei_turn_take(0), 1);
    rensei_turn_give();
}
END_TEST

/* Two that thought they had it gave it back: it is still one. */
START_TEST(given_twice)
{
    begin();
    ck_assert_int_eq(rensei_turn_take(0), 1);
    rensei_turn_give();
    rensei_turn_give();
    ck_assert_int_eq(rensei_turn_take(0), 1);
    ck_assert_int_eq(rensei_turn_take(MOMENT), 0);
    rensei_turn_give();
}
END_TEST

Suite *suite_turn(void)
{
    TCase *tc;
    Suite *s = test_suite("turn", &tc);

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, one_at_a_time);
    tcase_add_test(tc, across_processes);
    tcase_add_test(tc, the_holder_died);
    tcase_add_test(tc, the_holders_name_is_anothers);
    tcase_add_test(tc, given_twice);
    return s;
}
