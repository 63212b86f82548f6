/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * Times as text, RFC 3339. Days are counted by the proleptic Gregorian
 * calendar from 1 March of year 0, so that the leap day is a year's last:
 * neither the machine's time zone nor its locale has a part in it.
 */
#include "rensei_json.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <string.h>

#define MS_PER_DAY APR_INT64_C(86400000)
#define MS_FIRST (-719528 * MS_PER_DAY)    /* 0000-01-01 */
#define MS_LAST (2932897 * MS_PER_DAY - 1) /* the end of 9999 */

typedef struct date_t {
    int year, month, day;
} date_t;

/* Days from 1970-01-01. */
static int days_from_date(date_t d)
{
    int y = d.year - (d.month <= 2) + 400;
    int month = (d.month + 9) % 12;

    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * month + 2) / 5 + d.day -
           1 - 719468 - 146097;
}

static date_t date_from_days(int days)
{
    date_t d;
    int n = days + 719468 + 146097;
    int era = n / 146097, doe = n % 146097;
    int yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int month = (5 * doy + 2) / 153;

    d.day = doy - (153 * month + 2) / 5 + 1;
    d.month = month < 10 ? month + 3 : month - 9;
    d.year = yoe + era * 400 - 400 + (d.month <= 2);
    return d;
}

/* Writes n with so many digits, and what follows it. @return its end */
static char *put(char *to, int n, int digits, char after)
{
    int i;

    for (i = digits - 1; i >= 0; i--) {
        to[i] = (char)('0' + n % 10);
        n /= 10;
    }
    to[digits] = after;
    return to + digits + 1;
}

const char *rensei_time_iso(apr_int64_t ms, apr_pool_t *p)
{
    apr_int64_t since;
    date_t d;
    int in_day;
    char *out = apr_palloc(p, sizeof("2006-01-02T15:04:05.000Z")), *at;

    ms = ms < MS_FIRST ? MS_FIRST : ms > MS_LAST ? MS_LAST : ms;
    since = ms - MS_FIRST;
    d = date_from_days((int)(since / MS_PER_DAY - 719528));
    in_day = (int)(since % MS_PER_DAY);
    at = put(out, d.year, 4, '-');
    at = put(at, d.month, 2, '-');
    at = put(at, d.day, 2, 'T');
    at = put(at, in_day / 3600000, 2, ':');
    at = put(at, in_day / 60000 % 60, 2, ':');
    at = put(at, in_day / 1000 % 60, 2, '.');
    at = put(at, in_day % 1000, 3, 'Z');
    *at = '\0';
    return out;
}

/* Exactly n digits with a value from min to max; moves *s past them. */
static int take_number(int *out, const char **s, int n, int min, int max)
{
    int value = 0;

    for (; n > 0; n--, (*s)++) {
        if (**s < '0' || **s > '9') {
            return 0;
        }
        value = value * 10 + (**s - '0');
    }
    *out = value;
    return value >= min && value <= max;
}

static int take_char(const char **s, char c)
{
    if (**s != c) {
        return 0;
    }
    (*s)++;
    return 1;
}

static int take_date(date_t *d, const char **s)
{
    static const int lengths[] = {31, 29, 31, 30, 31, 30,
                                  31, 31, 30, 31, 30, 31};
    int leap;

    if (!take_number(&d->year, s, 4, 0, 9999) || !take_char(s, '-') ||
        !take_number(&d->month, s, 2, 1, 12) || !take_char(s, '-') ||
        !take_number(&d->day, s, 2, 1, lengths[d->month - 1])) {
        return 0;
    }
    leap = d->year % 4 == 0 && (d->year % 100 != 0 || d->year % 400 == 0);
    return leap || d->month != 2 || d->day <= 28;
}

/* ".1" to ".123456789", or nothing, as milliseconds. */
static int take_fraction(int *ms, const char **s)
{
    int digits;

    *ms = 0;
    if (!take_char(s, '.')) {
        return 1;
    }
    for (digits = 0; **s >= '0' && **s <= '9'; digits++, (*s)++) {
        if (digits < 3) {
            *ms = *ms * 10 + (**s - '0');
        }
    }
    for (int i = digits; i < 3; i++) {
        *ms *= 10;
    }
    return digits >= 1 && digits <= 9;
}

static int take_offset(int *minutes, const char **s)
{
    int sign = **s == '-' ? -1 : 1, hour, minute;

    *minutes = 0;
    if (take_char(s, 'Z') || take_char(s, 'z')) {
        return 1;
    }
    if ((!take_char(s, '+') && !take_char(s, '-')) ||
        !take_number(&hour, s, 2, 0, 23) || !take_char(s, ':') ||
        !take_number(&minute, s, 2, 0, 59)) {
        return 0;
    }
    *minutes = sign * (hour * 60 + minute);
    return 1;
}

int rensei_time_parse(apr_int64_t *ms, const char *s)
{
    date_t d;
    int hour, minute, second, fraction, offset;
    apr_int64_t minutes;

    if (!take_date(&d, &s) || !(take_char(&s, 'T') || take_char(&s, 't')) ||
        !take_number(&hour, &s, 2, 0, 23) || !take_char(&s, ':') ||
        !take_number(&minute, &s, 2, 0, 59) || !take_char(&s, ':') ||
        !take_number(&second, &s, 2, 0, 60) || !take_fraction(&fraction, &s) ||
        !take_offset(&offset, &s) || *s != '\0') {
        return 0;
    }
    minutes =
        (apr_int64_t)days_from_date(d) * 1440 + hour * 60 + minute - offset;
    /* a leap second ends a UTC day (RFC 3339 5.7) */
    if (second == 60 && (minutes + 719529 * APR_INT64_C(1440)) % 1440 != 1439) {
        return 0;
    }
    *ms = (minutes * 60 + second) * 1000 + fraction;
    return 1;
}

#define DURATION_MAX (APR_INT64_C(3650) * 86400)

static const struct {
    char letter;
    int seconds;
} units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};

int rensei_duration_parse(apr_int64_t *out, const char *s, apr_size_t n)
{
    apr_size_t i;
    int unit = 1;

    for (i = 0; n > 0 && i < sizeof(units) / sizeof(units[0]); i++) {
        if (s[n - 1] == units[i].letter) {
            unit = units[i].seconds;
            n--;
            break;
        }
    }
    if (!rensei_int_parse(out, s, n, 1, DURATION_MAX / unit)) {
        return 0;
    }
    *out *= unit;
    return 1;
}

int rensei_span_parse(apr_int64_t *out, const char *s)
{
    apr_size_t n = strlen(s);

    return n > 0 && !apr_isdigit(s[n - 1]) && rensei_duration_parse(out, s, n);
}

const char *rensei_duration_text(apr_int64_t seconds, apr_pool_t *p)
{
    apr_size_t i = 0;

    while (seconds % units[i].seconds != 0) {
        i++;
    }
    return apr_psprintf(p, "%" APR_INT64_T_FMT "%c", seconds / units[i].seconds,
                        units[i].letter);
}
