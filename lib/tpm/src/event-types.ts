// Event types of the TCG PC Client Platform Firmware Profile 1.06, section 10.4.1 table 27, by number.

/** EV_NO_ACTION: the one type that never extends a PCR. */
export const EV_NO_ACTION = 0x0000_0003;
export const EV_SEPARATOR = 0x0000_0004;
export const EV_EVENT_TAG = 0x0000_0006;
export const EV_IPL = 0x0000_000d;

/** Names as in the specification. Some are deprecated there, and still written by firmware in use. */
const EVENT_TYPE_NAMES: ReadonlyMap<number, string> = new Map<number, string>([
  [0x0000_0000, 'EV_PREBOOT_CERT'],
  [0x0000_0001, 'EV_POST_CODE'],
  [0x0000_0002, 'EV_UNUSED'],
  [EV_NO_ACTION, 'EV_NO_ACTION'],
  [EV_SEPARATOR, 'EV_SEPARATOR'],
  [0x0000_0005, 'EV_ACTION'],
  [EV_EVENT_TAG, 'EV_EVENT_TAG'],
  [0x0000_0007, 'EV_S_CRTM_CONTENTS'],
  [0x0000_0008, 'EV_S_CRTM_VERSION'],
  [0x0000_0009, 'EV_CPU_MICROCODE'],
  [0x0000_000a, 'EV_PLATFORM_CONFIG_FLAGS'],
  [0x0000_000b, 'EV_TABLE_OF_DEVICES'],
  [0x0000_000c, 'EV_COMPACT_HASH'],
  [EV_IPL, 'EV_IPL'],
  [0x0000_000e, 'EV_IPL_PARTITION_DATA'],
  [0x0000_000f, 'EV_NONHOST_CODE'],
  [0x0000_0010, 'EV_NONHOST_CONFIG'],
  [0x0000_0011, 'EV_NONHOST_INFO'],
  [0x0000_0012, 'EV_OMIT_BOOT_DEVICE_EVENTS'],
  [0x0000_0013, 'EV_POST_CODE2'],
  [0x8000_0000, 'EV_EFI_EVENT_BASE'],
  [0x8000_0001, 'EV_EFI_VARIABLE_DRIVER_CONFIG'],
  [0x8000_0002, 'EV_EFI_VARIABLE_BOOT'],
  [0x8000_0003, 'EV_EFI_BOOT_SERVICES_APPLICATION'],
  [0x8000_0004, 'EV_EFI_BOOT_SERVICES_DRIVER'],
  [0x8000_0005, 'EV_EFI_RUNTIME_SERVICES_DRIVER'],
  [0x8000_0006, 'EV_EFI_GPT_EVENT'],
  [0x8000_0007, 'EV_EFI_ACTION'],
  [0x8000_0008, 'EV_EFI_PLATFORM_FIRMWARE_BLOB'],
  [0x8000_0009, 'EV_EFI_HANDOFF_TABLES'],
  [0x8000_000a, 'EV_EFI_PLATFORM_FIRMWARE_BLOB2'],
  [0x8000_000b, 'EV_EFI_HANDOFF_TABLES2'],
  [0x8000_000c, 'EV_EFI_VARIABLE_BOOT2'],
  [0x8000_000d, 'EV_EFI_GPT_EVENT2'],
  [0x8000_0010, 'EV_EFI_HCRTM_EVENT'],
  [0x8000_00e0, 'EV_EFI_VARIABLE_AUTHORITY'],
  [0x8000_00e1, 'EV_EFI_SPDM_FIRMWARE_BLOB'],
  [0x8000_00e2, 'EV_EFI_SPDM_FIRMWARE_CONFIG'],
  [0x8000_00e3, 'EV_EFI_SPDM_DEVICE_POLICY'],
  [0x8000_00e4, 'EV_EFI_SPDM_DEVICE_AUTHORITY'],
]);

/** The specification's name, or `0x…` with eight digits for a type that it does not list. */
export function eventTypeName(type: number): string {
  return EVENT_TYPE_NAMES.get(type) ?? `0x${type.toString(16).padStart(8, '0')}`;
}
