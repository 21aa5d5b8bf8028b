/*
 * Boots the bundled Python as the bridge does and runs one script in it: the build's own check
 * that the bundle is complete. Never installed.
 */
#include <Python.h>
#include <stdio.h>

static PyStatus add_path(PyConfig *config, const char *home, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/python/%s", home, name);
    wchar_t *wide = Py_DecodeLocale(path, NULL);
    PyStatus status = PyWideStringList_Append(&config->module_search_paths, wide);
    PyMem_RawFree(wide);
    return status;
}

static PyStatus boot(const char *home) {
    PyPreConfig preconfig;
    PyPreConfig_InitIsolatedConfig(&preconfig);
    preconfig.utf8_mode = 1;
    PyStatus status = Py_PreInitialize(&preconfig);
    if (PyStatus_Exception(status))
        return status;
    PyConfig config;
    PyConfig_InitIsolatedConfig(&config);
    config.site_import = 0;
    config.write_bytecode = 0;
    config.module_search_paths_set = 1;
    static const char *const folders[] = {"stdlib", "dynload", "site"};
    for (size_t i = 0; i < 3 && !PyStatus_Exception(status); i++)
        status = add_path(&config, home, folders[i]);
    char program[4096];
    snprintf(program, sizeof program, "%s/python/python", home);
    if (!PyStatus_Exception(status))
        status = PyConfig_SetBytesString(&config, &config.program_name, program);
    if (!PyStatus_Exception(status))
        status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    return status;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s HOME SCRIPT\n", argv[0]);
        return 2;
    }
    PyStatus status = boot(argv[1]);
    if (PyStatus_Exception(status)) {
        fprintf(stderr, "the bundled Python does not start: %s\n", status.err_msg);
        return 1;
    }
    FILE *script = fopen(argv[2], "rb");
    if (script == NULL) {
        perror(argv[2]);
        return 1;
    }
    return PyRun_SimpleFileEx(script, argv[2], 1) == 0 ? 0 : 1;
}
