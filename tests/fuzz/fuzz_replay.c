/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * Gives each target the inputs of its corpus, which have found something
 * once, or lead to a line of code that others do not. Usage: replay CORPUS
 */
#include "fuzz.h"

#include <apr_file_io.h>
#include <apr_general.h>
#include <apr_strings.h>
#include <stdio.h>
#include <stdlib.h>

typedef void fuzz_fn(const char *text, apr_size_t n, apr_pool_t *p);

static const struct {
    const char *name;
    fuzz_fn *fn;
} targets[] = {
#define TARGET(name) {#name, fuzz_##name},
#include "targets.def"
#undef TARGET
};

/* Exactly as large as the file, so that reading past its end is found out. */
static void replay_file(fuzz_fn *fn, const char *path)
{
    apr_pool_t *p;
    apr_file_t *file;
    apr_finfo_t info;
    apr_size_t n = 0;
    char *text;

    apr_pool_create(&p, NULL);
    FUZZ_HOLDS(apr_file_open(&file, path, APR_FOPEN_READ, 0, p) == APR_SUCCESS);
    FUZZ_HOLDS(apr_file_info_get(&info, APR_FINFO_SIZE, file) == APR_SUCCESS);
    text = malloc(info.size > 0 ? (size_t)info.size : 1);
    FUZZ_HOLDS(text != NULL);
    FUZZ_HOLDS(info.size == 0 ||
               apr_file_read_full(file, text, (apr_size_t)info.size, &n) ==
                   APR_SUCCESS);
    fn(text, n, p);
    free(text);
    apr_pool_destroy(p);
}

/* @return how many inputs there were */
static int replay_folder(fuzz_fn *fn, const char *folder, apr_pool_t *p)
{
    apr_dir_t *dir;
    apr_finfo_t entry;
    int count = 0;

    if (apr_dir_open(&dir, folder, p) != APR_SUCCESS) {
        return 0;
    }
    while (apr_dir_read(&entry, APR_FINFO_NAME, dir) == APR_SUCCESS) {
        if (entry.name[0] != '.') {
            replay_file(fn, apr_pstrcat(p, folder, "/", entry.name, NULL));
            count++;
        }
    }
    apr_dir_close(dir);
    return count;
}

int main(int argc, const char *const *argv)
{
    const char *corpus = argc > 1 ? argv[1] : "tests/fuzz/corpus";
    apr_pool_t *p = NULL;
    int all = 0, missing = 0;
    size_t i;

    apr_app_initialize(&argc, &argv, NULL);
    apr_pool_create(&p, NULL);
    for (i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        int count = replay_folder(
            targets[i].fn, apr_pstrcat(p, corpus, "/", targets[i].name, NULL),
            p);

        if (count == 0) {
            printf("fuzz: no input for %s in %s\n", targets[i].name, corpus);
            missing = 1;
        }
        all += count;
    }
    printf("fuzz: %d inputs replayed, %d targets\n", all, (int)i);
    apr_terminate();
    return missing ? EXIT_FAILURE : EXIT_SUCCESS;
}
