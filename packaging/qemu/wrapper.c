/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stands where the distribution's QEMU was, which has been renamed (dpkg-divert),
 * and executes that in its place: with the modules of virtio-gpu-reclaim that were
 * built for it or, if there are none, with its own and without the properties
 * that these do not have, so that virtual machines start.
 *
 * A module is for one build of QEMU. The string "qemu_stamp_HASH" is in both;
 * QEMU rejects a module with another one, and does not look for its own then
 * (module_load() in util/module.c). So the modules are in MODULES_DIR/HASH, and
 * those whose HASH is in the binary fit.
 *
 * Compiled with QEMU_BINARY, the path of the renamed binary, and MODULES_DIR.
 */

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <glib.h>
#include <json-glib/json-glib.h>

#define STAMP "qemu_stamp_"

static const char *const our_properties[] = {
#include "reclaim-properties.h"
    NULL
};

/* Returns the directory of the modules for the QEMU in @binary, or NULL. */
static char *find_modules(GMappedFile *binary)
{
    g_autoptr(GDir) dir = g_dir_open(MODULES_DIR, 0, NULL);
    const char *hash;

    while (dir && (hash = g_dir_read_name(dir))) {
        g_autofree char *stamp = g_strconcat(STAMP, hash, NULL);

        if (memmem(g_mapped_file_get_contents(binary),
                   g_mapped_file_get_length(binary), stamp, strlen(stamp))) {
            return g_build_filename(MODULES_DIR, hash, NULL);
        }
    }
    return NULL;
}

static bool is_ours(const char *property)
{
    return g_strv_contains(our_properties, property);
}

static bool is_virtio_gpu(const char *driver)
{
    return driver && (g_str_has_prefix(driver, "virtio-gpu") ||
                      g_str_has_prefix(driver, "virtio-vga"));
}

/*
 * The device in @text, as libvirt writes one, without our properties; NULL if it
 * is no virtio-gpu.
 */
static char *strip_json(const char *text)
{
    g_autoptr(JsonNode) root = json_from_string(text, NULL);
    g_autoptr(GList) members = NULL;
    JsonObject *device;
    JsonNode *driver;
    GList *member;

    if (!root || !JSON_NODE_HOLDS_OBJECT(root)) {
        return NULL;
    }
    device = json_node_get_object(root);
    driver = json_object_get_member(device, "driver");
    if (!driver || !JSON_NODE_HOLDS_VALUE(driver) ||
        !is_virtio_gpu(json_node_get_string(driver))) {
        return NULL;
    }
    members = json_object_get_members(device);
    for (member = members; member; member = member->next) {
        if (is_ours(member->data)) {
            json_object_remove_member(device, member->data);
        }
    }
    return json_to_string(root, false);
}

/*
 * The same for DRIVER[,PROPERTY[=VALUE]]..., in which a comma of a value is
 * written twice.
 */
static char *strip_options(const char *text)
{
    g_autoptr(GString) result = g_string_new(NULL);
    bool found = false;
    bool first = true;

    while (*text) {
        const char *end = text;
        g_autofree char *option = NULL;
        char *value;

        while (*end && (*end != ',' || end[1] == ',')) {
            end += *end == ',' ? 2 : 1;
        }
        option = g_strndup(text, end - text);
        value = strchr(option, '=');
        found |= is_virtio_gpu(first && !value ? option :
                               g_str_has_prefix(option, "driver=") ? value + 1 :
                               NULL);
        if (value) {
            *value = '\0';
        }
        if (!is_ours(option)) {
            g_string_append_printf(result, "%s%.*s", result->len ? "," : "",
                                   (int)(end - text), text);
        }
        first = false;
        text = *end ? end + 1 : end;
    }
    return found ? g_string_free(g_steal_pointer(&result), false) : NULL;
}

/* Is @text a -global for a property of ours: DRIVER.PROPERTY=VALUE? */
static bool is_our_global(const char *text)
{
    g_auto(GStrv) parts = g_strsplit(text, ".", 2);

    if (g_strv_length(parts) != 2 || !is_virtio_gpu(parts[0])) {
        return false;
    }
    parts[1][strcspn(parts[1], "=")] = '\0';
    return is_ours(parts[1]);
}

/*
 * Remove our properties from @argv, of NULL-terminated strings.
 *
 * Returns: whether it has a virtio-gpu.
 */
static bool strip_properties(char **argv)
{
    bool found = false;
    char **from, **to;

    for (from = to = argv; *from; from++) {
        const char *option = *from;
        char *stripped;

        *to++ = *from;
        if (from == argv || option[0] != '-' || !from[1]) {
            continue;
        }
        option += option[1] == '-' ? 2 : 1;
        if (!strcmp(option, "global") && is_our_global(from[1])) {
            from++;
            to--;
        } else if (!strcmp(option, "device")) {
            from++;
            stripped = (*from)[0] == '{' ? strip_json(*from)
                                         : strip_options(*from);
            found |= stripped != NULL;
            *to++ = stripped ?: *from;
        }
    }
    *to = NULL;
    return found;
}

int main(int argc, char **argv)
{
    /* Who sets it has modules of their own. */
    if (!getenv("QEMU_MODULE_DIR")) {
        g_autoptr(GMappedFile) binary = g_mapped_file_new(QEMU_BINARY, false,
                                                          NULL);
        g_autofree char *modules = binary ? find_modules(binary) : NULL;

        if (modules) {
            g_setenv("QEMU_MODULE_DIR", modules, true);
        } else if (strip_properties(argv)) {
            fprintf(stderr, "%s: virtio-gpu-reclaim has no modules for this "
                    "build of QEMU, starting with the stock virtio-gpu; "
                    "virtio-gpu-reclaim-rebuild builds them\n",
                    argc ? argv[0] : "qemu");
        }
    }
    execv(QEMU_BINARY, argv);
    fprintf(stderr, "%s: cannot execute " QEMU_BINARY ": %s\n",
            argc ? argv[0] : "qemu", strerror(errno));
    return 127;
}
