// What we use of jsPsych 8.3; written by hand, so that our own files are checked.
export enum ParameterType { BOOL, STRING, INT, FLOAT, FUNCTION, KEY, KEYS, SELECT, HTML_STRING, IMAGE, AUDIO, VIDEO, OBJECT, COMPLEX, TIMELINE }
export interface JsPsych {
  run(timeline: object[]): Promise<void>;
  simulate(timeline: object[], mode?: "data-only" | "visual"): Promise<void>;
  finishTrial(data: object): void;
  data: { get(): { values(): Record<string, unknown>[] } };
}
export function initJsPsych(options: { display_element: HTMLElement }): JsPsych;
