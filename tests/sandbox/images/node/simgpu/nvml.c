/* A stand-in for NVIDIA's libnvidia-ml.so.1: just the calls that Ray, vLLM and monitoring tools make through pynvml.
 * The GPUs are the rows of the table that the node, or the container runtime, has written:
 * index, UUID, memory in MiB, compute capability and name, separated by tabs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TABLE "/opt/simgpu/gpus.tsv"
#define DRIVER "580.95.05"
#define CUDA 13000
#define MAX_GPUS 64
#define MIB 1048576ULL

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, DRIVER_NOT_LOADED = 9 };

typedef struct {
    unsigned index, major, minor;
    unsigned long long memory_mib;
    char uuid[48], name[96];
} gpu_t;

typedef struct { unsigned long long total, free, used; } memory_t;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory_v2_t;
typedef struct { unsigned gpu, memory; } utilization_t;
typedef struct {
    char bus_id_legacy[16];
    unsigned domain, bus, device, pci_device_id, pci_subsystem_id;
    char bus_id[32];
} pci_t;

static gpu_t gpus[MAX_GPUS];
static unsigned count;

int nvmlInit_v2(void)
{
    FILE *table = fopen(TABLE, "r");
    char line[256];

    if (!table)
        return DRIVER_NOT_LOADED;
    for (count = 0; count < MAX_GPUS && fgets(line, sizeof line, table);) {
        gpu_t *gpu = &gpus[count];
        if (sscanf(line, "%u\t%47[^\t]\t%llu\t%u.%u\t%95[^\n]", &gpu->index, gpu->uuid, &gpu->memory_mib, &gpu->major,
                   &gpu->minor, gpu->name) == 6)
            count++;
    }
    fclose(table);
    return SUCCESS;
}

int nvmlInit(void) { return nvmlInit_v2(); }
int nvmlInitWithFlags(unsigned flags) { (void)flags; return nvmlInit_v2(); }
int nvmlShutdown(void) { return SUCCESS; }

static int put(char *buffer, unsigned length, const char *text)
{
    if (strlen(text) >= length)
        return INSUFFICIENT_SIZE;
    strcpy(buffer, text);
    return SUCCESS;
}

const char *nvmlErrorString(int code)
{
    switch (code) {
    case SUCCESS: return "The operation was successful";
    case INVALID_ARGUMENT: return "Invalid Argument";
    case NOT_SUPPORTED: return "Not Supported";
    case NOT_FOUND: return "Not Found";
    case INSUFFICIENT_SIZE: return "Insufficient Size";
    case DRIVER_NOT_LOADED: return "Driver Not Loaded";
    default: return "Unknown Error";
    }
}

int nvmlSystemGetDriverVersion(char *buffer, unsigned length) { return put(buffer, length, DRIVER); }
int nvmlSystemGetNVMLVersion(char *buffer, unsigned length) { return put(buffer, length, "13." DRIVER); }
int nvmlSystemGetCudaDriverVersion(int *version) { *version = CUDA; return SUCCESS; }
int nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = CUDA; return SUCCESS; }

int nvmlDeviceGetCount_v2(unsigned *number) { *number = count; return SUCCESS; }
int nvmlDeviceGetCount(unsigned *number) { return nvmlDeviceGetCount_v2(number); }

/* NVML numbers what it can see from 0; the index on the node is the minor number. */
int nvmlDeviceGetHandleByIndex_v2(unsigned index, gpu_t **gpu)
{
    if (index >= count)
        return INVALID_ARGUMENT;
    *gpu = &gpus[index];
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex(unsigned index, gpu_t **gpu) { return nvmlDeviceGetHandleByIndex_v2(index, gpu); }

int nvmlDeviceGetHandleByUUID(const char *uuid, gpu_t **gpu)
{
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(gpus[i].uuid, uuid) == 0) {
            *gpu = &gpus[i];
            return SUCCESS;
        }
    }
    return NOT_FOUND;
}

int nvmlDeviceGetName(gpu_t *gpu, char *buffer, unsigned length) { return put(buffer, length, gpu->name); }
int nvmlDeviceGetUUID(gpu_t *gpu, char *buffer, unsigned length) { return put(buffer, length, gpu->uuid); }
int nvmlDeviceGetIndex(gpu_t *gpu, unsigned *index) { *index = (unsigned)(gpu - gpus); return SUCCESS; }
int nvmlDeviceGetMinorNumber(gpu_t *gpu, unsigned *minor) { *minor = gpu->index; return SUCCESS; }

int nvmlDeviceGetMemoryInfo(gpu_t *gpu, memory_t *memory)
{
    memory->total = memory->free = gpu->memory_mib * MIB;
    memory->used = 0;
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo_v2(gpu_t *gpu, memory_v2_t *memory)
{
    memory->total = memory->free = gpu->memory_mib * MIB;
    memory->reserved = memory->used = 0;
    return SUCCESS;
}

int nvmlDeviceGetCudaComputeCapability(gpu_t *gpu, int *major, int *minor)
{
    *major = (int)gpu->major;
    *minor = (int)gpu->minor;
    return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(gpu_t *gpu, utilization_t *rates)
{
    (void)gpu;
    rates->gpu = rates->memory = 0;
    return SUCCESS;
}

int nvmlDeviceGetPciInfo_v3(gpu_t *gpu, pci_t *pci)
{
    memset(pci, 0, sizeof *pci);
    pci->bus = gpu->index + 1;
    snprintf(pci->bus_id, sizeof pci->bus_id, "00000000:%02X:00.0", pci->bus);
    snprintf(pci->bus_id_legacy, sizeof pci->bus_id_legacy, "0000:%02X:00.0", pci->bus);
    return SUCCESS;
}

int nvmlDeviceGetPciInfo(gpu_t *gpu, pci_t *pci) { return nvmlDeviceGetPciInfo_v3(gpu, pci); }

static int no_processes(unsigned *number) { *number = 0; return SUCCESS; }
int nvmlDeviceGetComputeRunningProcesses(gpu_t *gpu, unsigned *n, void *p) { (void)gpu; (void)p; return no_processes(n); }
int nvmlDeviceGetComputeRunningProcesses_v2(gpu_t *gpu, unsigned *n, void *p) { (void)gpu; (void)p; return no_processes(n); }
int nvmlDeviceGetComputeRunningProcesses_v3(gpu_t *gpu, unsigned *n, void *p) { (void)gpu; (void)p; return no_processes(n); }
int nvmlDeviceGetGraphicsRunningProcesses(gpu_t *gpu, unsigned *n, void *p) { (void)gpu; (void)p; return no_processes(n); }
int nvmlDeviceGetGraphicsRunningProcesses_v3(gpu_t *gpu, unsigned *n, void *p) { (void)gpu; (void)p; return no_processes(n); }

int nvmlDeviceGetPowerUsage(gpu_t *gpu, unsigned *milliwatts) { (void)gpu; *milliwatts = 70000; return SUCCESS; }
int nvmlDeviceGetTemperature(gpu_t *gpu, int sensor, unsigned *celsius) { (void)gpu; (void)sensor; *celsius = 30; return SUCCESS; }
int nvmlDeviceGetMigMode(gpu_t *gpu, unsigned *now, unsigned *next) { (void)gpu; *now = *next = 0; return SUCCESS; }
int nvmlDeviceGetNvLinkState(gpu_t *gpu, unsigned link, unsigned *active) { (void)gpu; (void)link; (void)active; return NOT_SUPPORTED; }
