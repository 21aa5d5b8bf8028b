/* SPDX-License-Identifier: Apache-2.0 */
/* Starting Python as a guest: no environment, no signals, no stdio, no site, only what lies under
 * home. */
#include "boot.h"

#include <Python.h>
#include <dlfcn.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* AddressSanitizer and valgrind cannot work with it. */
#ifdef MATRIX_NO_DEEPBIND
#define DEEPBIND 0
#else
#define DEEPBIND RTLD_DEEPBIND
#endif

static bool fail(struct boot_failure *failure, const char *code, const char *format, ...) {
    va_list arguments;

    failure->code = code;
    va_start(arguments, format);
    vsnprintf(failure->text, sizeof failure->text, format, arguments);
    va_end(arguments);
    return false;
}

/* ---- whose Python this is -------------------------------------------------------------------- */

/* Whether `version` begins with `parts` numbers of ours: 3 for the very same, 2 for the same minor
 * version. */
static bool is_version(const char *version, int parts) {
    const char *ours = MATRIX_PYTHON_VERSION;

    for (; *ours && *ours == *version; ours++, version++)
        if (*ours == '.' && --parts == 0)
            return true;
    return *ours == '\0' && (*version == ' ' || *version == '+' || *version == '\0');
}

/* The first question to Python, and harmless whoever answers it. */
static bool check_version(int parts, struct boot_failure *failure) {
    Dl_info other = {0};

    if (is_version(Py_GetVersion(), parts))
        return true;
    dladdr((void *)(uintptr_t)&Py_GetVersion, &other);
    return fail(failure, "E_PYTHON_CONFLICT", "%s is Python %.20s, libmatrix carries %s",
                other.dli_fname ? other.dli_fname : "another library", Py_GetVersion(),
                MATRIX_PYTHON_VERSION);
}

/* Of the same version, yet not the copy we carry: its state is somebody else's. */
static bool check_owner(const char *home, struct boot_failure *failure) {
    char ours[PATH_MAX], wanted[PATH_MAX], found[PATH_MAX];
    Dl_info other = {0};

    snprintf(wanted, sizeof wanted, "%s/lib/%s", home, MATRIX_PYTHON_LIBRARY);
    if (!dladdr((void *)(uintptr_t)&Py_GetVersion, &other) || !realpath(wanted, ours) ||
        !realpath(other.dli_fname, found))
        return fail(failure, "E_PYTHON", "%.200s cannot be found", wanted);
    if (strcmp(ours, found) != 0)
        return fail(failure, "E_PYTHON_CONFLICT", "%.200s is in the way of %.200s", found, ours);
    if (Py_IsInitialized())
        return fail(failure, "E_PYTHON_CONFLICT", "%.200s runs already", ours);
    return true;
}

/* ---- configuration --------------------------------------------------------------------------- */

static PyStatus preinitialize(void) {
    PyPreConfig config;

    PyPreConfig_InitIsolatedConfig(&config);
    config.utf8_mode = 1;
#ifdef MATRIX_PYTHON_MALLOC
    config.allocator = PYMEM_ALLOCATOR_MALLOC;
#endif
    return Py_PreInitialize(&config);
}

static PyStatus set_path(PyConfig *config, wchar_t **field, const char *home, const char *rest) {
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s%s", home, rest);
    return PyConfig_SetBytesString(config, field, path);
}

static PyStatus add_path(PyConfig *config, const char *home, const char *rest) {
    wchar_t *path = NULL;
    PyStatus status = set_path(config, &path, home, rest);

    if (!PyStatus_Exception(status))
        status = PyWideStringList_Append(&config->module_search_paths, path);
    PyMem_RawFree(path);
    return status;
}

static void set_flags(PyConfig *config) {
    config->use_environment = 0;
    config->site_import = 0;
    config->user_site_directory = 0;
    config->install_signal_handlers = 0;
    config->configure_c_stdio = 0;
    config->write_bytecode = 0;
    config->parse_argv = 0;
    config->pathconfig_warnings = 0;
    config->module_search_paths_set = 1;
}

/* Every path Python would otherwise look for on PATH; none of the names has to exist. */
static PyStatus set_paths(PyConfig *config, const char *home) {
    wchar_t **prefixes[] = {&config->home, &config->prefix, &config->exec_prefix,
                            &config->base_prefix, &config->base_exec_prefix};
    wchar_t **programs[] = {&config->program_name, &config->executable, &config->base_executable};
    const char *searched[] = {"/python/stdlib", "/python/dynload", "/python/site"};
    PyStatus status = PyStatus_Ok();

    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes && !PyStatus_Exception(status); i++)
        status = set_path(config, prefixes[i], home, "/python");
    for (size_t i = 0; i < sizeof programs / sizeof *programs && !PyStatus_Exception(status); i++)
        status = set_path(config, programs[i], home, "/python/python");
    for (size_t i = 0; i < sizeof searched / sizeof *searched && !PyStatus_Exception(status); i++)
        status = add_path(config, home, searched[i]);
    return status;
}

static bool initialize(const char *home, struct boot_failure *failure) {
    PyConfig config;
    PyStatus status = preinitialize();

    if (PyStatus_Exception(status))
        return fail(failure, "E_PYTHON", "Python: %s",
                    status.err_msg ? status.err_msg : "cannot start");
    PyConfig_InitIsolatedConfig(&config);
    set_flags(&config);
    status = set_paths(&config, home);
    if (!PyStatus_Exception(status))
        status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    if (PyStatus_Exception(status))
        return fail(failure, "E_PYTHON", "Python: %s",
                    status.err_msg ? status.err_msg : "cannot start");
    return true;
}

/* ---- before anything is imported ------------------------------------------------------------- */

void boot_openssl(const char *home) {
    /* OPENSSL_INIT_NO_ATEXIT; and NO_LOAD_CONFIG: the machine's or OPENSSL_CONF's may load another
     * OpenSSL. */
    enum { NO_ATEXIT = 0x00080000, NO_LOAD_CONFIG = 0x00000080 };
    int (*init)(uint64_t, const void *) = NULL;
    char path[PATH_MAX];
    void *library, *symbol;

    snprintf(path, sizeof path, "%s/lib/%s", home, MATRIX_CRYPTO_LIBRARY);
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL | DEEPBIND);
    symbol = library ? dlsym(library, "OPENSSL_init_crypto") : NULL;
    if (!symbol)
        return;
    memcpy(&init, &symbol, sizeof init);
    init(NO_ATEXIT | NO_LOAD_CONFIG, NULL);
}

/* Libraries look for symbols in themselves first, whatever SQLite or OpenSSL the host exports. */
static bool bind_deep(void) {
    PyObject *set = PySys_GetObject("setdlopenflags");
    PyObject *done = set ? PyObject_CallFunction(set, "i", RTLD_NOW | DEEPBIND) : NULL;

    Py_XDECREF(done);
    return done != NULL;
}

/*
 * The first import of _signal takes SIGINT even from a Python that was told to leave signals alone.
 * It is given back at once, and a SIGINT that came in between goes where it would have gone.
 */
static bool import_signal(void) {
    struct sigaction host;
    PyObject *imported;

    if (sigaction(SIGINT, NULL, &host) != 0)
        return false;
    imported = PyImport_ImportModule("_signal");
    sigaction(SIGINT, &host, NULL);
    Py_XDECREF(imported);
    if (imported && PyErr_CheckSignals() != 0) {
        PyErr_Clear();
        kill(getpid(), SIGINT);
    }
    return imported != NULL;
}

static bool import(const char *module) {
    PyObject *imported = PyImport_ImportModule(module);

    Py_XDECREF(imported);
    return imported != NULL;
}

/* What cffi's start needs, first, because it would print what fails. */
static bool import_runtime(void) {
    return import("_cffi_backend") && import("libmatrix.native");
}

static bool import_and_call(const char *module, const char *function) {
    PyObject *imported = PyImport_ImportModule(module);
    PyObject *done = imported ? PyObject_CallMethod(imported, function, NULL) : NULL;

    Py_XDECREF(imported);
    Py_XDECREF(done);
    return done != NULL;
}

/* The Python error that is set, as a failure. */
static bool fail_python(struct boot_failure *failure) {
    PyObject *type, *value, *trace, *text;

    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    text = value ? PyObject_Str(value) : NULL;
    fail(failure, "E_PYTHON", "%.400s",
         text && PyUnicode_AsUTF8(text) ? PyUnicode_AsUTF8(text) : "Python failed");
    PyErr_Clear();
    Py_XDECREF(text);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(trace);
    return false;
}

bool boot_python(const char *home, struct boot_failure *failure) {
    char path[PATH_MAX];
    struct stat found;
    bool is_ready;

    if (!check_version(3, failure) || !check_owner(home, failure))
        return false;
    /* Without this one Python would say so on stderr. */
    snprintf(path, sizeof path, "%s/python/stdlib/encodings", home);
    if (stat(path, &found) != 0)
        return fail(failure, "E_PYTHON", "%.400s is missing", path);
    if (!initialize(home, failure))
        return false;
    is_ready = import_signal() && bind_deep() && import_and_call("libmatrix.output", "install") &&
               import_runtime();
    if (!is_ready)
        fail_python(failure);
    PyEval_SaveThread();
    return is_ready;
}

bool boot_hosted(const char *home, struct boot_failure *failure) {
    PyGILState_STATE state;
    PyObject *paths, *path;
    bool is_ready = false;

    if (!check_version(2, failure))
        return false;
    if (!Py_IsInitialized())
        return fail(failure, "E_PYTHON_CONFLICT", "the Python of the process does not run");
    state = PyGILState_Ensure();
    paths = PySys_GetObject("path");
    path = PyUnicode_FromFormat("%s/python/site", home);
    if (paths && PyList_Check(paths) && path) {
        int has = PySequence_Contains(paths, path);
        is_ready = (has == 1 || (has == 0 && PyList_Append(paths, path) == 0)) && import_runtime();
    }
    Py_XDECREF(path);
    if (!is_ready)
        fail_python(failure);
    PyGILState_Release(state);
    return is_ready;
}
