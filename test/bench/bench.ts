/** A table's cell: numbers are printed to the right, with the digits that they were given. */
export type Cell = string | number;

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
}

/** A figure that design.md asks for, and what was seen. Never fails a run: machines differ. */
export interface Figure {
  readonly what: string;
  readonly limit: number;
  readonly seen: number;
  readonly unit: string;
}

export interface BenchReport {
  readonly tables: readonly Table[];
  readonly figures: readonly Figure[];
  /** Requests lost, or reloads, where none may be. Any of them fails the run. */
  readonly faults: readonly string[];
}

export interface BenchOptions {
  /** Smallest size: shows that the bench works, says nothing about speed. */
  readonly smoke: boolean;
  /** Sizes that take minutes, too. */
  readonly large: boolean;
  /** Tells people what goes on; never part of the result. */
  readonly note: (text: string) => void;
}

export interface Bench {
  readonly name: string;
  /** One line. */
  readonly summary: string;
  /** Needs real API servers, and a network in which pods' addresses are local. */
  readonly podNetwork?: true;
  run(options: BenchOptions): Promise<BenchReport>;
}
