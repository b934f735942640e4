/* SPDX-License-Identifier: MIT */
/* The files and folders that a process may see. */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "dextd/sandbox_plan.h"

/* No "." and "..", no double slash: a place must not be another one than its text says. */
static bool
is_plain(const char *path)
{
	return path[0] == '/' && path[1] && !strstr(path, "//") && !strstr(path, "/./") &&
	       !strstr(path, "/../") && strlen(path) < PATH_MAX && path[strlen(path) - 1] != '/' &&
	       strcmp(strrchr(path, '/'), "/.") != 0 && strcmp(strrchr(path, '/'), "/..") != 0;
}

static int
append(struct places *places, const char *path, const char *source, unsigned rights, bool is_dir)
{
	struct place *place, *bigger;

	if (places->n == places->room) {
		places->room = places->room ? places->room * 2 : 16;
		bigger = realloc(places->list, places->room * sizeof *bigger);
		if (!bigger)
			return -ENOMEM;
		places->list = bigger;
	}
	place = &places->list[places->n];
	*place = (struct place){ .rights = rights, .is_dir = is_dir };
	place->path = strdup(path);
	place->source = strdup(source);
	if (!place->path || !place->source) {
		free(place->path);
		free(place->source);
		return -ENOMEM;
	}
	places->n++;
	return 0;
}

int
places_add(struct places *places, const char *path, unsigned rights)
{
	adxi_cleanup(adxi_freep) char *source = realpath(path, NULL);
	struct stat st;
	int r;

	if (!source || stat(source, &st) < 0)
		return -errno;
	if (!strcmp(source, "/"))
		return -EINVAL;
	r = append(places, source, source, rights, S_ISDIR(st.st_mode));
	/* Under the name that it was given, too; /lib and its like are links there as well. */
	if (r == 0 && strcmp(source, path) != 0 && is_plain(path) && strncmp(path, "/lib", 4) != 0)
		r = append(places, path, source, rights, S_ISDIR(st.st_mode));
	return r;
}

int
places_add_list(struct places *places, const char *list, unsigned rights)
{
	adxi_cleanup(adxi_freep) char *copy = strdup(list);
	char *save = NULL, *path;
	int r = copy ? 0 : -ENOMEM;

	for (path = copy ? strtok_r(copy, ":", &save) : NULL; path && r != -ENOMEM;
	     path = strtok_r(NULL, ":", &save))
		if (*path == '/')
			r = places_add(places, path, rights);
	return r == -ENOMEM ? r : 0;
}

static bool
is_inside(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	return !strncmp(path, folder, len) && (path[len] == '\0' || path[len] == '/');
}

static int
by_path(const void *a, const void *b)
{
	return strcmp(((const struct place *)a)->path, ((const struct place *)b)->path);
}

static void
place_done(struct place *place)
{
	free(place->path);
	free(place->source);
}

void
places_order(struct places *places)
{
	size_t i, j, kept = 0;

	if (places->n)
		qsort(places->list, places->n, sizeof *places->list, by_path);
	for (i = 0; i < places->n; i++) {
		struct place *place = &places->list[i], *holder = NULL;

		/* The nearest is the last: a path sorts behind those that it is inside of. */
		for (j = kept; j > 0 && !holder; j--)
			if (is_inside(place->path, places->list[j - 1].path) &&
			    is_inside(place->source, places->list[j - 1].source))
				holder = &places->list[j - 1];
		if (holder &&
		    (!strcmp(holder->path, place->path) || holder->rights == place->rights)) {
			holder->rights |= place->rights;
			holder->granted |= place->granted;
			place_done(place);
		} else {
			places->list[kept++] = *place;
		}
	}
	places->n = kept;
}

unsigned
places_rights(const struct places *places, const char *path)
{
	size_t i;

	if (!is_plain(path))
		return 0;
	for (i = places->n; i > 0; i--) {
		const struct place *place = &places->list[i - 1];

		if (is_inside(path, place->path) && (place->is_dir || !strcmp(path, place->path)))
			return place->rights;
	}
	return 0;
}

void
places_done(struct places *places)
{
	while (places->n > 0)
		place_done(&places->list[--places->n]);
	free(places->list);
	*places = (struct places){ 0 };
}
